// SIGTERM and SIGINT for programs with threads, where no signal mask reaches all of them.

import CPrefork

/// SIGTERM and SIGINT as an event counter. A process has one: a signal's action is a global setting.
///
/// The counter is made once and never closed: a handler that runs in another thread may be about to write to it.
package final class StopSignals: Sendable {
    package let counter: EventCounter

    package init() throws(SystemError) {
        counter = try EventCounter()
    }

    /// Raises the counter at each of them from now on. One that has another action than the default keeps it.
    package func listen() {
        cprefork_watch_stop_signals(counter.descriptor.number)
    }

    /// From now on they end the process again.
    package func stopListening() {
        cprefork_unwatch_stop_signals()
    }

    /// How many came since the last call, and which one was the last.
    package func take() -> (signal: Signal, count: Int) {
        counter.clear()
        var number: Int32 = 0
        let count = cprefork_take_stop_signals(&number)
        return (Signal(rawValue: number), Int(count))
    }
}
