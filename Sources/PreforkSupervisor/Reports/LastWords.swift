// The last output of a child before its end.

import PreforkSystem

/// The end of what a worker or a managed process wrote to standard error.
///
/// With `PREFORK_CAPTURE_OUTPUT=on` also of what it wrote to standard output. All of it is text of the child's:
/// characters that end a line or command a terminal are escaped.
public struct LastWords: Hashable, Sendable {
    /// The line that says why the process ended itself: `main.swift:3: Fatal error: Index out of range`, or what the C
    /// library says of a damaged heap. If nil, it wrote no such line.
    public var message: String?
    /// The last lines, oldest first: at most ten, and 2 KiB of text.
    public var lines: [String] = []

    /// Last words that a program makes itself, as for a test of its `SupervisorHooks.onCrash`.
    public init(message: String? = nil, lines: [String] = []) {
        self.message = message
        self.lines = lines
    }

    /// For the log line of an end.
    var spoken: String {
        let others = lines.filter { $0 != message }
        let said = message.map { "; it said: \($0)" } ?? ""
        return others.isEmpty ? said : said + "; last lines: \(others.joined(separator: " | "))"
    }

    static let mostLines = 10
    static let mostBytes = 2048
}

/// Keeps what `LastWords` needs of a stream that may be endless.
struct LastWordsKeeper {
    /// More than `LastWords.mostBytes`, so that its first line is whole.
    private static let memory = 4096
    /// How the runtimes of Swift and C begin or mark their last sentence.
    private static let marks: [[UInt8]] = [
        "Fatal error", "Precondition failed", "Assertion failed", "terminate called after", "stack smashing detected",
        "malloc(): ", "free(): ", "corrupted ",
    ].map { Array($0.utf8) }

    private var end: [UInt8] = []
    private var message: [UInt8]?

    var isEmpty: Bool { end.isEmpty }

    /// Remembers the end of what was read.
    mutating func note(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count >= Self.memory {
            end = Array(bytes.suffix(Self.memory))
        } else {
            // Cut only now and then, not at each line.
            if end.count + bytes.count > 2 * Self.memory { end.removeFirst(end.count - Self.memory) }
            end.append(contentsOf: bytes)
        }
    }

    /// Remembers the last line that says why the process ends.
    ///
    /// - Parameter bytes: one line or several.
    mutating func findMessage(in bytes: UnsafeRawBufferPointer) {
        var found: Int?
        for mark in Self.marks {
            if let place = bytes.firstOffset(of: mark) { found = max(found ?? 0, place) }
        }
        guard let found else { return }
        let before = UnsafeRawBufferPointer(rebasing: bytes[..<found])
        let start = before.lastOffset(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let end = bytes.firstOffset(of: UInt8(ascii: "\n"), from: found) ?? bytes.count
        message = Array(bytes[start..<end].prefix(LastWords.mostBytes))
    }

    /// - Parameters:
    ///   - pid: the process that wrote the output.
    ///   - name: what that process calls itself. See `OutputHead`.
    func lastWords(pid: Int32, name: String) -> LastWords {
        var keeper = self
        if keeper.message == nil { end.withUnsafeBytes { keeper.findMessage(in: $0) } }
        func text(_ line: some Collection<UInt8>) -> String {
            Array(line).withUnsafeBytes { bytes in
                let head = OutputHead(bytes, pid: pid, name: name)?.length ?? 0
                return OutputHead.text(bytes.dropFirst(head))
            }
        }
        var lines = lines(text)
        // What follows is the Swift runtime's backtracer.
        if let start = lines.firstIndex(where: { $0.hasPrefix("*** Signal ") }) { lines.removeSubrange(start...) }
        return LastWords(message: keeper.message.map { text($0) }, lines: lines)
    }

    private func lines(_ text: (ArraySlice<UInt8>) -> String) -> [String] {
        var lines: [String] = []
        var room = LastWords.mostBytes
        for line in end.split(separator: UInt8(ascii: "\n")).reversed() {
            room -= line.count
            if room < 0 || lines.count == LastWords.mostLines { break }
            lines.append(text(line))
        }
        if lines.isEmpty, let last = end.split(separator: UInt8(ascii: "\n")).last {
            lines = [text(last.suffix(LastWords.mostBytes))]
        }
        return lines.reversed()
    }
}
