// Why a value was not frozen.

/// `ForkRuntime.freeze(_:)` was called where it must not be.
public struct FreezeError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The process has more than one thread. Another one could count references to an object that is just frozen.
        case multithreaded(threads: Int)
        /// The process was forked: a worker, a managed process or a helper. What it freezes would be shared with no
        /// other process.
        case alreadyForked
    }

    /// What went wrong.
    public let code: Code

    init(_ code: Code) { self.code = code }
}

extension FreezeError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .multithreaded(let threads):
            """
            cannot freeze: this process has \(threads) threads. Freeze before anything starts threads: Swift tasks and \
            their sleeps, Dispatch, a logging or metrics library
            """
        case .alreadyForked:
            "cannot freeze in a forked process: freeze in the program's main process, before its workers are forked"
        }
    }
}
