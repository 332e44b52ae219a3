// The event loop of a process that supervises, and what drives it.

import Synchronization

/// The loop of a process for code that runs on no loop. A separate thread turns it, unless the process supervises: a
/// process that forks must have one thread.
package protocol DrivenLoop: AnyObject, Sendable {
    /// Readable when the loop has something to do.
    var epollNumber: Int32 { get }
    /// What the loop alone has open, the epoll included: no child keeps it.
    var ownDescriptors: [Int32] { get }
    /// Whether callbacks have something in hand.
    var hasWorkInHand: Bool { get }

    func startThread() throws(SystemError)
    /// Ends the thread between two jobs.
    ///
    /// - Returns: false if the job that it runs took too long. The thread then continues.
    func endThread() -> Bool
    /// To be called before the caller waits.
    ///
    /// - Returns: when `turn` must be called without news, or nil for never.
    func prepareToWait() -> MonotonicInstant?
    /// Does the pending work, without waiting. After `end` it begins no further job and no further message.
    func turn(until end: MonotonicInstant) throws(SystemError)
}

/// Which loop that is in this process, and whether it is turned by a supervisor here.
package enum DrivenLoops {
    private struct State {
        var process = ForkCount.current
        var loop: (any DrivenLoop)?
        var isDriven = false
        var holds = 0
    }

    private static let state = Mutex(State())
    /// The nanoseconds at which the present turn ends, or 0 if no supervisor turns the loop now.
    private static let turnEnd = Atomic<Int64>(0)
    /// The `ForkCount` of the process that takes no messages now, or 0 if there is no such process.
    private static let paused = Atomic<UInt64>(0)

    private static func withState<Value>(_ body: (inout State) -> Value) -> Value {
        state.withLock { state in
            if state.process != ForkCount.current {
                // A child never frees its parent's loop: the numbers of its descriptors belong to others there.
                if let loop = state.loop { _ = Unmanaged.passRetained(loop as AnyObject) }
                state = State()
            }
            return body(&state)
        }
    }

    /// A program that was started by an upgrade will supervise, or is a trial run that ends where it would supervise.
    /// Until then its callbacks wait, so that no callback runs twice.
    private static var willSupervise: Bool { ForkCount.isFirst && (Handover.isLaterImage || Handover.isTrial) }

    /// Makes `loop` this process's, and starts its thread unless a supervisor turns it.
    package static func found(_ loop: any DrivenLoop) throws(SystemError) {
        let result = withState { state -> Result<Void, SystemError> in
            let isDriven = state.holds > 0 || willSupervise
            if !isDriven {
                do throws(SystemError) { try loop.startThread() } catch { return .failure(error) }
            }
            state.loop = loop
            state.isDriven = isDriven
            return .success(())
        }
        try result.get()
    }

    /// The loop that the caller, a supervisor, must turn. Nil if there is no loop, or its thread turns it.
    package static var driven: (any DrivenLoop)? { withState { $0.isDriven ? $0.loop : nil } }

    /// Runs `body` while this process has no thread for the loop. See `DrivenLoopHold`.
    package static func holding<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let process = ForkCount.current
        hold()
        // A child may come back from `body`, too.
        defer { if process == ForkCount.current { release() } }
        return try body()
    }

    fileprivate static func hold() {
        withState { state in
            state.holds += 1
            if let loop = state.loop, !state.isDriven { state.isDriven = loop.endThread() }
        }
    }

    fileprivate static func release() {
        withState { state in
            state.holds -= 1
            guard state.holds == 0, state.isDriven, let loop = state.loop, !Handover.isTrial else { return }
            do throws(SystemError) {
                try loop.startThread()
                state.isDriven = false
            } catch {
                StandardErrorLines.say("error", "messages of this process wait for a thread: \(error)", by: "thread")
            }
        }
    }

    /// Whether a supervisor is inside a turn of the loop: no process may be forked there.
    package static var isTurning: Bool { turnEnd.load(ordering: .relaxed) != 0 }

    /// Whether code that takes message after message on the loop must yield. Costs one load if no supervisor turns the
    /// loop.
    @inline(__always)
    package static var isTurnOver: Bool {
        let end = turnEnd.load(ordering: .relaxed)
        return end != 0 && end <= MonotonicInstant.now.nanoseconds
    }

    /// Whether messages must stay where they are.
    package static var isTakingPaused: Bool {
        let process = paused.load(ordering: .relaxed)
        return process != 0 && process == ForkCount.current
    }

    package static func pauseTaking(_ pauses: Bool) {
        paused.store(pauses ? ForkCount.current : 0, ordering: .relaxed)
    }

    private static let leavers = Mutex<[@Sendable () -> Void]>([])

    /// Has `body` called before another image of the program takes this process over: what was not taken is for that
    /// one.
    package static func onLeaving(_ body: @escaping @Sendable () -> Void) { leavers.withLock { $0.append(body) } }

    /// The other image comes now, or has not come: what was left can be taken again.
    package static func leave() { for body in leavers.withLock({ $0 }) { body() } }

    /// Has `body` run as a turn of the loop.
    package static func turn<Failure: Error>(
        until end: MonotonicInstant, _ body: () throws(Failure) -> Void
    ) throws(Failure) {
        turnEnd.store(max(1, end.nanoseconds), ordering: .relaxed)
        defer { turnEnd.store(0, ordering: .relaxed) }
        try body()
    }
}

/// For as long as it lives, its process has no thread for the loop: the owner turns it. Of no effect in a child.
package struct DrivenLoopHold: ~Copyable {
    private let process = ForkCount.current

    package init() { DrivenLoops.hold() }

    deinit {
        if process == ForkCount.current { DrivenLoops.release() }
    }
}
