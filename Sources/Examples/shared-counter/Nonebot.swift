// The managed process: it hears one channel by a callback and asks the other for messages, as in the documentation of
// liteyuki.comm.

import Glibc
import Prefork

struct Nonebot {
    let deliver: ChannelDeliver<String>

    func run(until stop: StopRequest) async throws {
        // From here on any code of this process finds its channels by `ChannelDeliver.current`.
        deliver.enter()
        try deliver.passive.onReceive { text in say("Passive receive: \(text)") }
        let listening = Task {
            for try await text in deliver.active.messages { say("Active receive: \(text)") }
        }
        try await stop.wait()
        deliver.active.close()
        deliver.passive.close()
        try await listening.value
    }
}

/// A line on standard output, in one piece.
func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}
