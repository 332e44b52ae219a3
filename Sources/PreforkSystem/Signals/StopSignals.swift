// SIGTERM and SIGINT for programs with threads, where no signal mask reaches all of them.

import CPrefork

/// SIGTERM and SIGINT as a bell. A process has one: a signal's action is a global setting.
///
/// The bell is made once and never closed: a handler that runs in another thread may be about to ring it.
package final class StopSignals: Sendable {
    package let bell: Bell

    package init() throws(SystemError) {
        bell = try Bell()
    }

    /// Rings the bell at each of them from now on. One that has another action than the default keeps it.
    ///
    /// - Parameter unread: whether no loop watches the bell. Signals then interrupt system calls in which the program
    ///   waits (EINTR), and the second one ends the process.
    package func listen(unread: Bool = false) {
        cprefork_watch_stop_signals(bell.descriptor.number, unread ? 1 : 0)
    }

    /// Ends this process as `signal` would have ended it, had nothing listened.
    package static func end(by signal: Signal) {
        cprefork_end_by_signal(signal.rawValue)
    }

    /// From now on they end the process again.
    package func stopListening() {
        cprefork_unwatch_stop_signals()
    }

    /// The bell's descriptor.
    package var number: Int32 { bell.descriptor.number }

    /// How many came since the last call, and which one was the last.
    package func take() -> (signal: Signal, count: Int) {
        bell.clear()
        var number: Int32 = 0
        let count = cprefork_take_stop_signals(&number)
        return (Signal(rawValue: number), Int(count))
    }
}
