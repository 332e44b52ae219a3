// A program that was started: its streams, its end, and how to bring that about.

public import PreforkEventLoop
public import PreforkSystem

/// A running or ended subprocess.
///
///     let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
///     try await process.stdin!.write("hello\n")
///     process.stdin!.close()
///     let text = try await process.stdout!.readToEnd(limit: 1 << 20)
///     let exit = try await process.waitForExit()
///
/// It belongs to the event loop that was current at its start, or to the shared one, and can be used from anywhere.
/// A handle that is dropped closes its streams and does not end the process, which is reaped when it ends by itself.
/// `Subprocess.with` and `Subprocess.run` ensure its end. Works in a worker of `ForkRuntime` (start and exit then
/// happen on the worker's thread) and in any other program. The supervisor runs no event loop and cannot use it.
///
/// Follows tornado.process.Subprocess.
public final class Subprocess: Sendable {
    /// The command that was started.
    public let command: Command
    /// Writes to standard input, if that is `.stream` or `.terminal`. The caller must close it when done.
    public let stdin: ByteWriter?
    /// Reads standard output, if that is `.stream`, `.terminal` or a tee with a `.stream`. Exit and end are two things:
    /// see `Command.lingering`.
    public let stdout: ByteReader?
    /// Reads standard error, if that is `.stream` or a tee with a `.stream`.
    public let stderr: ByteReader?
    let watched: WatchedChild
    let sinks: OutputSinks
    private let terminal: OwnedTerminal?

    init(
        _ command: Command, _ watched: WatchedChild, sinks: OutputSinks, stdin: ByteWriter?, stdout: ByteReader?,
        stderr: ByteReader?, owningTerminal terminal: Int32?
    ) {
        self.command = command
        self.watched = watched
        self.sinks = sinks
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.terminal = terminal.map { OwnedTerminal($0) }
    }

    /// Another handle of the same process.
    init(sharing other: Subprocess) {
        command = other.command
        watched = other.watched
        sinks = other.sinks
        stdin = other.stdin
        stdout = other.stdout
        stderr = other.stderr
        terminal = other.terminal
    }

    /// The pseudo-terminal's descriptor, closed with the last handle.
    private final class OwnedTerminal: Sendable {
        let number: Int32

        init(_ number: Int32) { self.number = number }

        deinit { closeDescriptor(number) }
    }

    /// The process ID. The number may belong to another process once this one has been reaped, so use `send(_:to:)` to
    /// signal it.
    public var pid: Int32 { watched.child.pid }

    /// How it ended, or nil while it runs. Never waits.
    public var exit: Exit? { watched.exit }

    /// Calls `body` with the exit, once, on the process's event loop. There may be any number of callbacks. One that is
    /// registered after the exit is called, too.
    ///
    /// Follows tornado's set_exit_callback, where a second callback replaces the first.
    public func onExit(_ body: @escaping @Sendable (Exit) -> Void) {
        watched.onExit(body)
    }

    /// Waits for the exit, which must be a success.
    ///
    /// Any number of tasks may wait. Cancelling one ends its wait and leaves the process alone.
    ///
    /// - Throws: `CalledProcessError` for any other status than exit code 0, or `CancellationError`.
    @discardableResult
    public func waitForExit() async throws -> Exit {
        let exit = try await watched.wait()
        if exit.isSuccess { return exit }
        throw CalledProcessError(command: command, exit: exit, output: nil)
    }

    /// Waits for the exit, whatever it is.
    ///
    /// - Parameter raising: true throws `CalledProcessError` as `waitForExit()` does.
    /// - Throws: `CancellationError`, and nothing else when `raising` is false.
    @discardableResult
    public func waitForExit(raising: Bool) async throws -> Exit {
        raising ? try await waitForExit() : try await watched.wait()
    }

    /// As `waitForExit(raising:)`, by tornado's name. The exit compares with a return code: `exit == 0`.
    @discardableResult
    public func waitForExit(raiseError: Bool) async throws -> Exit {
        try await waitForExit(raising: raiseError)
    }

    /// Sends a signal.
    ///
    /// Signals by pidfd, so that it never hits a stranger that got the same process ID (cpython #82811). A process that
    /// has ended takes no signal, silently. Its group still does, if others live in it (Linux 6.9).
    ///
    /// - Throws: `SystemError` when this process may not (EPERM) or the signal does not exist (EINVAL).
    public func send(_ signal: Signal, to target: SignalTarget = .process) throws(SystemError) {
        try watched.send(signal, to: target)
    }

    /// Sends SIGTERM to the process, and does not wait. `stop()` ensures its end.
    public func terminate() throws(SystemError) {
        try send(.terminate)
    }

    /// Sends SIGKILL to the process, and does not wait.
    public func kill() throws(SystemError) {
        try send(.kill)
    }

    /// Makes the process end and waits for that: signals by the plan, SIGKILL at its end.
    ///
    /// Returns at the exit. What the process's group still has is signalled on by the rest of the plan, in the
    /// background. Goes through with it when the calling task is cancelled. A second call restarts the plan.
    ///
    /// - Parameter plan: by default the command's `stopPlan`.
    public func stop(_ plan: StopPlan? = nil) async throws(StopError) -> Exit {
        watched.forgetFailedStop()
        requestStop(plan, reason: .stopped)
        return try await watched.waitForEnd()
    }

    /// Begins to make the process end, from any thread.
    func requestStop(_ plan: StopPlan?, reason: Exit.Reason) {
        let plan = plan ?? command.stopPlan
        watched.loop.execute { [watched] in watched.stop(plan, reason: reason) }
    }

    /// Changes the size of the pseudo-terminal. The program gets SIGWINCH. Has no effect without a pseudo-terminal.
    public func resizeTerminal(to size: Command.TerminalSize) throws(SystemError) {
        guard let terminal else { return }
        try setTerminalSize(terminal.number, rows: size.rows, columns: size.columns)
    }
}
