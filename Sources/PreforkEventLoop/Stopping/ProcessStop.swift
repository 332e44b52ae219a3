// The stop of this process: one place that informs everything which waits in it.

import PreforkSystem
import Synchronization

/// The stop of this process. In a worker or a managed process, the runtime requests it when the process is asked to
/// end. In a plain program, the signals that end its service trees request it.
///
/// A forked child has a separate stop, which was not requested.
package enum ProcessStop {
    private struct State {
        var process = ForkCount.current
        var request = StopRequest()
    }

    private static let state = Mutex(State())
    /// The `ForkCount` of the process whose stop was requested, or 0.
    private static let stopped = Atomic<UInt64>(0)

    /// How many stops are over, in this process and those that it was forked from.
    private static let resets = Atomic<UInt64>(0)

    private static let hasAskers = Atomic(false)
    /// Checks whether a signal has requested the stop, if no loop does that.
    private static let signalReader = Mutex<(@Sendable () -> Void)?>(nil)
    private static let hasReader = Atomic(false)

    /// The request that the waits of this process observe.
    package static var current: StopRequest {
        state.withLock { state in
            if state.process != ForkCount.current { state = State() }
            return state.request
        }
    }

    /// Differs for each request that `current` has been. One load where `current` takes a lock.
    package static var epoch: UInt64 { ForkCount.current &<< 32 | resets.load(ordering: .acquiring) }

    /// Whether code in this process has requested the stop or observes it, so that the program can react to it.
    package static var isHeard: Bool { hasAskers.load(ordering: .relaxed) || current.hasObservers }

    fileprivate static func noteAsker() {
        if !hasAskers.load(ordering: .relaxed) { hasAskers.store(true, ordering: .relaxed) }
    }

    package static var isRequested: Bool {
        let process = stopped.load(ordering: .acquiring)
        return process != 0 && process == ForkCount.current
    }

    /// Ends the waits of this process that take new work, now and from now on.
    package static func request() {
        let current = current
        stopped.store(ForkCount.current, ordering: .releasing)
        current.request()
    }

    /// In a program whose signals no loop reads, blocking threads call `readSignals` whenever they poll.
    package static func readSignals(by reader: (@Sendable () -> Void)?) {
        signalReader.withLock { $0 = reader }
        hasReader.store(reader != nil, ordering: .releasing)
    }

    package static func readSignals() {
        if hasReader.load(ordering: .acquiring) { signalReader.withLock { $0 }?() }
    }

    /// What was asked to end has ended, and the program continues: waits from now on end by the next request.
    package static func reset() {
        state.withLock { state in
            // Observers of a stop that was not requested continue to observe it.
            guard state.request.isRequested else { return }
            stopped.store(0, ordering: .releasing)
            hasAskers.store(false, ordering: .relaxed)
            resets.add(1, ordering: .releasing)
            state = State()
        }
    }
}

extension EventLoop {
    /// Whether waits that take new work must end here: the process was asked to stop, or this loop was.
    package var isStopping: Bool { ProcessStop.isRequested || stopRequest.isRequested }

    /// Whether such waits must end where the caller is, on a loop or on a plain thread.
    package static var isStoppingHere: Bool {
        ProcessStop.noteAsker()
        // A channel asks before each message, and most of the time no stop was ever requested in this process.
        guard StopRequest.isAnySet else { return false }
        if ProcessStop.isRequested { return true }
        guard let current else { return false }
        return current.stopRequest.isRequested
    }

    /// Calls `body` when waits that take new work must end on this loop, or at once if that is so already. Runs on the
    /// requester's thread, once for the loop's stop and once for the process's.
    package func onStop(_ body: @escaping @Sendable () -> Void) -> StopObservation {
        StopObservation(with: stopRequest, body)
    }
}

/// Observes stops until it is released.
package final class StopObservation: Sendable {
    /// The `ProcessStop.epoch` of the observed stop.
    package let epoch: UInt64
    // Two fields, not an array of pairs: each worker makes one of these before its first request.
    private let process: StopRequest
    private let processID: Int
    private let other: StopRequest?
    private let otherID: Int

    /// Observes the process's stop, and `other`.
    package init(with other: StopRequest? = nil, _ body: @escaping @Sendable () -> Void) {
        // Before the request is looked up: one that is reset in between is observed once more, never missed.
        epoch = ProcessStop.epoch
        process = ProcessStop.current
        processID = process.onRequest(body)
        self.other = other
        otherID = other?.onRequest(body) ?? 0
    }

    /// Whether it is the process's present stop that is observed, not one from before a reset.
    package var isCurrent: Bool { epoch == ProcessStop.epoch }

    deinit {
        process.removeObserver(processID)
        other?.removeObserver(otherID)
    }
}
