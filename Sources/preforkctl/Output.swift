// Text for a terminal, a pipe or a file.

import PreforkSystem

enum Output {
    static let isTerminal = PreforkSystem.isTerminal(1)
    private static let hasColours =
        isTerminal && CurrentProcess.environment("NO_COLOR").map(\.isEmpty) ?? true
        && CurrentProcess.environment("TERM") != "dumb"

    static func write(_ text: String, end: String = "\n") {
        write(text + end, to: 1)
    }

    static func complain(_ text: String) {
        write("preforkctl: \(text)\n", to: 2)
    }

    private static func write(_ text: String, to number: Int32) {
        var rest = Array(text.utf8)[...]
        // Whoever reads it has gone, or the disk is full: there is nobody left to tell.
        while !rest.isEmpty, let count = try? rest.withUnsafeBytes({ try writeBytes(to: number, $0) }) {
            rest = rest.dropFirst(count)
        }
    }

    /// Words of state in the colour of their kind, on a terminal.
    static func coloured(_ word: String) -> String {
        let colours = [
            "ready": 32, "running": 32, "done": 32, "booting": 33, "draining": 33, "reloading": 33, "stopping": 33,
            "backingOff": 31, "failed": 31, "killed": 31, "aborted": 31,
        ]
        guard hasColours, let colour = colours[word] else { return word }
        return "\u{1B}[\(colour)m\(word)\u{1B}[0m"
    }
}
