// Why blocking work was not begun.

public import PreforkSystem

/// A closure of `Blocking.run` was not run.
public struct BlockingError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// Every thread is busy, and so many closures wait already.
        case queueFull(limit: Int)
        /// The process has no thread for it, and the kernel gives none. See `underlying`.
        case noThread
        /// A limit makes no sense. The text names it and its value.
        case badLimit(String)
    }

    /// What went wrong.
    public let code: Code
    /// The failed call, for `.noThread`.
    public let underlying: SystemError?

    init(_ code: Code, _ underlying: SystemError? = nil) {
        self.code = code
        self.underlying = underlying
    }
}

extension BlockingError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .queueFull(let limit): "all threads for blocking work are busy, and \(limit) closures wait for one already"
        case .noThread: "no thread for blocking work" + (underlying.map { ": \($0)" } ?? "")
        case .badLimit(let text): "bad limit of blocking work: \(text)"
        }
    }
}
