// Why workers cannot be forked.

public import PreforkSystem

/// Forking workers failed before the first of them was made.
public struct SupervisorError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The process has more than one thread, of which a child would have only the forking one: locks held by the
        /// others would stay locked, and Swift tasks would never run.
        case multithreaded(threads: Int)
        /// A task of the main actor was made before the fork, at the top level of a program, or work was
        /// put on the main queue. It would never begin: the main thread supervises, or serves, from now on.
        case unstartedTask
        /// The caller is a worker itself.
        case alreadyForked
        /// The number of workers makes no sense. The text says which number and where it came from.
        case badWorkerCount(String)
        /// The managed processes beside the pool cannot be started.
        case targets(ProcessError)
        /// The host cannot provide what the settings ask for: the pid file, a socket, a user. The text says what and
        /// why.
        case host(String)
        /// A variable of the environment, or a setting of the program, makes no sense. The text says which.
        case badSettings(String)
        /// A system call failed.
        case system
    }

    /// What went wrong.
    public let code: Code
    /// The failed call, for `.system`.
    public let underlying: SystemError?

    package init(_ code: Code, _ underlying: SystemError? = nil) {
        self.code = code
        self.underlying = underlying
    }

    package init(_ error: SystemError) {
        self.init(.system, error)
    }

    package init(_ error: ProcessError) {
        self.init(.targets(error), error.underlying)
    }
}

extension SupervisorError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .multithreaded(let threads):
            """
            cannot fork: this process has \(threads) threads and fork keeps only one. Fork before anything starts \
            threads: Swift tasks and their sleeps, Dispatch, a logging or metrics library
            """
        case .unstartedTask:
            """
            a Swift task made at the top level, or work on the main queue, would never begin: the main thread only \
            supervises from here on. Make it in a worker: in the closure of run, or after forkProcesses
            """
        case .alreadyForked:
            "cannot fork workers from a worker"
        case .host(let text), .badSettings(let text):
            text
        case .badWorkerCount(let text):
            "bad number of workers: \(text)"
        case .targets(let error):
            "\(error)"
        case .system:
            underlying.map { "cannot supervise: \($0)" } ?? "cannot supervise"
        }
    }
}
