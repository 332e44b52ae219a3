// The lines of a scoreboard that are in use.

struct ScoreboardLines {
    private var lines: [Bool] = []

    /// No line from this one on is taken.
    var inUse: Int { lines.count }

    /// The first free line, or nil.
    mutating func take(of limit: Int) -> Int? {
        if let free = lines.firstIndex(of: false) {
            lines[free] = true
            return free
        }
        guard lines.count < limit else { return nil }
        lines.append(true)
        return lines.count - 1
    }

    mutating func free(_ line: Int) {
        guard lines.indices.contains(line) else { return }
        lines[line] = false
        while lines.last == false { lines.removeLast() }
    }

    /// Takes a line that the previous image has assigned.
    mutating func inherit(_ line: Int) {
        while lines.count <= line { lines.append(false) }
        lines[line] = true
    }
}
