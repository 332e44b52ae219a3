// The line of /proc/pid/stat, taken apart.

/// Fields of /proc/pid/stat by their numbers in proc(5). The command's name, field 2, is in parentheses and may hold
/// any character, parentheses and blanks as well: what follows begins behind the last one that closes.
struct ProcessStat {
    /// The process's own word: any thread can name itself (PR_SET_NAME).
    let name: ForeignText
    private let fields: [Substring]

    /// - Returns: nil when there is no name in it.
    init?(_ line: String) {
        guard let start = line.firstIndex(of: "("), let end = line.lastIndex(of: ")"), start < end else { return nil }
        name = ForeignText(line[line.index(after: start)..<end])
        fields = line[line.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }

    /// - Parameter number: from 3 on, the state. Nil if the kernel does not report the field.
    subscript(_ number: Int) -> Substring? {
        fields.indices.contains(number - 3) ? fields[number - 3] : nil
    }

    func number(_ number: Int) -> UInt64? { self[number].flatMap { UInt64($0) } }
}
