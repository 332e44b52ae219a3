// The waiters and callbacks of a child's exit.

/// Waiters and callbacks until the exit, the exit afterwards. A value: each change returns the actions to take.
struct ExitState {
    enum WaitResult: Equatable, Sendable {
        case exited(Subprocess.Exit)
        /// The waiting task was cancelled.
        case abandoned
        /// The stop that was waited for has failed.
        case unstoppable(StopError)
    }

    typealias Waiter = UnsafeContinuation<WaitResult, Never>
    typealias Callback = @Sendable (Subprocess.Exit) -> Void

    private(set) var exit: Subprocess.Exit?
    private var waiters: [UInt64: (waiter: Waiter, isForStop: Bool)] = [:]
    private var callbacks: [Callback] = []
    private var failure: StopError?
    private var nextID: UInt64 = 0

    /// A number for a wait that is about to begin.
    mutating func makeID() -> UInt64 {
        nextID += 1
        return nextID
    }

    /// - Returns: the result for a waiter that need not wait.
    mutating func add(_ waiter: Waiter, id: UInt64, isForStop: Bool) -> WaitResult? {
        if let exit { return .exited(exit) }
        if isForStop, let failure { return .unstoppable(failure) }
        waiters[id] = (waiter, isForStop)
        return nil
    }

    /// - Returns: the waiter, if it still waits.
    mutating func abandon(_ id: UInt64) -> Waiter? {
        waiters.removeValue(forKey: id)?.waiter
    }

    /// - Returns: the exit, if the callback must be called at once.
    mutating func add(_ callback: @escaping Callback) -> Subprocess.Exit? {
        if exit == nil { callbacks.append(callback) }
        return exit
    }

    /// - Returns: all waiters and callbacks, each once.
    mutating func end(_ exit: Subprocess.Exit) -> (waiters: [Waiter], callbacks: [Callback]) {
        guard self.exit == nil else { return ([], []) }
        self.exit = exit
        defer {
            waiters = [:]
            callbacks = []
        }
        return (waiters.sorted { $0.key < $1.key }.map(\.value.waiter), callbacks)
    }

    /// A stop has failed. A later one may succeed.
    ///
    /// - Returns: the tasks that waited for a stop.
    mutating func fail(_ error: StopError) -> [Waiter] {
        failure = error
        let ids = waiters.filter(\.value.isForStop).keys.sorted()
        return ids.compactMap { waiters.removeValue(forKey: $0)?.waiter }
    }

    /// A new stop begins.
    mutating func forgetFailure() {
        failure = nil
    }
}
