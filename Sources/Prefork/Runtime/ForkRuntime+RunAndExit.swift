// The short form, for a program that is nothing but its pool: every failure is one line and an exit code.

import PreforkSupervisor
public import PreforkSystem

extension ForkRuntime {
    /// Binds `address`, forks the workers, supervises them, and ends this process when the last of them has ended.
    ///
    /// ```swift
    /// ForkRuntime().runAndExit(on: "0.0.0.0:8080") { worker, listener in
    ///     try await listener.serve { connection in ... }
    /// }
    /// ```
    ///
    /// Each failure is one line on standard error. Exit codes follow sysexits.h(3head):
    ///
    /// - 0: the workers have ended normally, or a signal has stopped them.
    /// - 64 (EX_USAGE): a setting or the address makes no sense. Another try cannot help.
    /// - 70 (EX_SOFTWARE): workers died more often than `maxRestarts` allows, a managed process that must live has
    ///   failed, or this process has started a thread before the fork.
    /// - 75 (EX_TEMPFAIL): the address is in use or cannot be bound, the host refuses something, or no worker came up.
    ///
    /// Call it from the main thread, before anything starts threads or tasks. What comes after it is never reached.
    ///
    /// - Parameters:
    ///   - address: as `Listener.init(_:backlog:sharing:)` reads it: `0.0.0.0:8080`, `[::]:8080`, `unix:/run/app.sock`.
    ///   - backlog: how many connections may wait to be accepted.
    ///   - sharing: how the workers share the listener.
    ///   - body: the life of each worker, as in `run`, with the listener.
    public func runAndExit(
        on address: String, backlog: Int32 = 1024, sharing: AcceptSharing = .sharedQueue,
        _ body: @escaping @Sendable (Worker, Listener) async throws -> Void
    ) -> Never {
        // Before the address is bound: a setting that makes no sense is told whether or not the port is free.
        do { _ = try effectiveSettings() } catch { endProgram("\(error)", code: .usage) }
        let listener = Listener.orExit(address, backlog: backlog, sharing: sharing)
        runAndExit { worker in try await body(worker, listener) }
    }

    /// As `run`, and ends this process with the exit code that the end of the pool is.
    ///
    /// See `runAndExit(on:backlog:sharing:_:)` for the codes and for where it may be called.
    ///
    /// - Parameter body: the life of each worker.
    public func runAndExit(_ body: @escaping @Sendable (Worker) async throws -> Void) -> Never {
        do {
            CurrentProcess.exit(code: try run(body).outcome.exitCode)
        } catch {
            endProgram("\(error)", code: error.exitCode)
        }
    }
}

extension Listener {
    /// As `Listener.init(_:backlog:sharing:)`, for top-level code: a failure is one line on standard error and the end
    /// of this process, with exit code 64 for an invalid address, else 75.
    ///
    /// - Parameters:
    ///   - address: `0.0.0.0:8080`, `[::]:8080`, `unix:/run/app.sock`.
    ///   - backlog: how many connections may wait to be accepted.
    ///   - sharing: how the workers share it.
    public static func orExit(
        _ address: String, backlog: Int32 = 1024, sharing: AcceptSharing = .sharedQueue
    ) -> Listener {
        do { return try Listener(address, backlog: backlog, sharing: sharing) } catch { endProgram(error) }
    }

    /// As `orExit(_:backlog:sharing:)`, for an `Endpoint`.
    ///
    /// - Parameters:
    ///   - endpoint: the address, with the mode and the owner of a Unix socket.
    ///   - backlog: how many connections may wait to be accepted.
    ///   - sharing: how the workers share it.
    public static func orExit(
        _ endpoint: Endpoint, backlog: Int32 = 1024, sharing: AcceptSharing = .sharedQueue
    ) -> Listener {
        do { return try Listener(endpoint, backlog: backlog, sharing: sharing) } catch { endProgram(error) }
    }
}

/// Exit codes of sysexits.h(3head).
private enum ProgramExit: Int32 {
    case usage = 64
    case software = 70
    case temporary = 75
}

extension SupervisorError {
    fileprivate var exitCode: ProgramExit {
        switch code {
        case .badSettings, .badWorkerCount: .usage
        case .multithreaded, .unstartedTask, .alreadyForked: .software
        case .host, .targets, .system: .temporary
        }
    }
}

/// A listener could not be made.
private func endProgram(_ error: SystemError) -> Never {
    endProgram("cannot listen: \(error)", code: error.errno == .invalidArgument ? .usage : .temporary)
}

/// - Parameter text: several lines become one, as where several settings make no sense.
private func endProgram(_ text: String, code: ProgramExit) -> Never {
    StandardErrorLines.say("error", text.split(separator: "\n").joined(separator: "; "), by: "end")
    CurrentProcess.exit(code: code.rawValue)
}
