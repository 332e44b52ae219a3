// Text for a terminal, a pipe or a file.

import PreforkSystem

enum Output {
    static let isTerminal = PreforkSystem.isTerminal(1)
    private static let hasColours =
        isTerminal && CurrentProcess.environment("NO_COLOR").map(\.isEmpty) ?? true
        && CurrentProcess.environment("TERM") != "dumb"

    static func write(_ text: String, end: String = "\n") {
        do {
            try write(text + end, to: 1)
        } catch {
            // The exit code with which a shell reports SIGPIPE, because the process that started this one may have
            // ignored the signal.
            if error.errno == .brokenPipe {
                complain("the reader of the output is gone")
                CurrentProcess.exit(code: 128 + Signal.brokenPipe.rawValue)
            }
            complain("\(error)")
            CurrentProcess.exit(code: ExitCode.output.rawValue)
        }
    }

    /// - Parameter lines: each may have text of others in it.
    static func complain(_ lines: String...) {
        let text = lines.map { ForeignText($0).escaped(for: .terminal) }.joined(separator: "\n")
        // There is nowhere else to report it. The exit code does not change.
        try? write("preforkctl: \(text)\n", to: 2)
    }

    /// All of it.
    static func write(_ text: String, toFile number: Int32) throws(SystemError) { try write(text, to: number) }

    private static func write(_ text: String, to number: Int32) throws(SystemError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let taken = rest.withUnsafeBytes { bytes in
                Result { () throws(SystemError) in try writeBytes(to: number, bytes) }
            }
            if let count = try taken.get() {
                rest = rest.dropFirst(count)
            } else {
                // Another process has made it non-blocking for every process that shares it.
                try Polling.waitUntilWritable(number)
            }
        }
    }

    /// Words of state in the colour of their kind, on a terminal.
    static func coloured(_ word: String) -> String {
        let colours = [
            "ready": 32, "running": 32, "done": 32, "booting": 33, "draining": 33, "reloading": 33, "delayingStop": 33, "stopping": 33,
            "ended": 33,
            "backingOff": 31, "failed": 31, "killed": 31, "aborted": 31,
            "crashed": 31,
        ]
        guard hasColours, let colour = colours[word] else { return word }
        return "\u{1B}[\(colour)m\(word)\u{1B}[0m"
    }
}
