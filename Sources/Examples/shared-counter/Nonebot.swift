// The managed process: it hears one channel by a callback and asks the other for messages, as in the documentation of
// liteyuki.comm.

import Glibc
import Prefork

enum Nonebot {
    static func run(_ child: ManagedChild<String>) async throws -> Int32 {
        // Any code of this process finds the same channels by `ChannelDeliver.current`.
        let active = child.active
        try child.passive.onReceive { text in say("Passive receive: \(text)") }
        let listening = Task {
            for try await text in active.messages { say("Active receive: \(text)") }
        }
        try await child.stopRequested.wait()
        active.close()
        child.passive.close()
        try await listening.value
        return 0
    }
}

/// A line on standard output, in one piece.
func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}
