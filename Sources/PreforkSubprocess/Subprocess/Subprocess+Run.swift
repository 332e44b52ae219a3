// Commands that are run to their end.

import PreforkEventLoop
import PreforkSystem

extension Subprocess {
    /// What a command has written, and how it ended.
    public struct Output: Sendable {
        /// The command as it was started.
        public let command: Command
        /// How it ended. A status other than 0 is not an error: see `check()`.
        public let exit: Exit
        /// What was collected. Empty if collecting was not requested.
        public let stdout: [UInt8]
        /// What was collected of standard error. Empty if collecting was not requested.
        public let stderr: [UInt8]
        /// More was written than is here.
        public let isStdoutTruncated: Bool
        /// More was written to standard error than is here.
        public let isStderrTruncated: Bool

        /// As text, with invalid UTF-8 repaired.
        public var stdoutText: String { String(decoding: stdout, as: UTF8.self) }
        /// Standard error as text, with invalid UTF-8 repaired.
        public var stderrText: String { String(decoding: stderr, as: UTF8.self) }

        /// This output, if the command ended with exit code 0.
        ///
        /// - Throws: `CalledProcessError`, which has the output.
        @discardableResult
        public func check() throws(CalledProcessError) -> Output {
            if exit.isSuccess { return self }
            throw CalledProcessError(command: command, exit: exit, output: self)
        }
    }

    /// Runs a command and collects its output, whatever happens to it: a timeout, a limit that is reached or the
    /// cancellation of the calling task stop the command by its plan, and what it had written is in the result.
    ///
    /// - Throws: `SpawnError`, `StopError`, or `CancellationError` if the task was cancelled before the start. A status
    ///   other than 0 is not thrown: see `Output.check`.
    public static func run(_ command: Command) async throws -> Output {
        try command.rejectInteractiveStreams()
        try Task.checkCancellation()
        return try await spawn(command, collectsByDefault: true).output()
    }

    /// Waits for the exit and for the end of all outputs that are collected or copied.
    ///
    /// Cancelling the calling task stops the command, and the output is returned as far as it came. A copy (`.tee`)
    /// that its reader does not take is waited for, but given up when the command was stopped.
    public func output() async throws(StopError) -> Output {
        watched.forgetFailedStop()
        let end: Swift.Result<Exit, StopError> = await withTaskCancellationHandler {
            do throws(StopError) {
                let exit = try await watched.waitForEnd()
                await sinks.waitUntilComplete()
                return .success(exit)
            } catch {
                return .failure(error)
            }
        } onCancel: {
            requestStop(nil, reason: .cancelled)
            watched.loop.execute { [sinks] in sinks.giveUpIfChildIsGone() }
        }
        let exit = try end.get()
        let (stdout, stderr) = (sinks.collected[1], sinks.collected[2])
        return Output(
            command: command, exit: exit, stdout: stdout?.bytes ?? [], stderr: stderr?.bytes ?? [],
            isStdoutTruncated: stdout?.isTruncated ?? false, isStderrTruncated: stderr?.isTruncated ?? false)
    }

    /// Runs `body` with a started command and ensures its end.
    ///
    /// When `body` returns, the streams are closed and the command has 200 ms to end by itself before it is stopped by
    /// its plan. When `body` throws or the calling task is cancelled, it is stopped at once.
    ///
    /// - Returns: what `body` returned, and the exit.
    /// - Throws: what `body` throws, `SpawnError` or `StopError`.
    public static func with<Result>(
        _ command: Command, _ body: (Subprocess) async throws -> Result
    ) async throws -> (Result, Exit) {
        let process = try await spawn(command)
        return try await withTaskCancellationHandler {
            let result: Result
            do {
                result = try await body(process)
            } catch {
                process.closeStreams()
                // The body's error says more than one about the stop.
                _ = try? await process.stop()
                throw error
            }
            return (result, try await process.endOfScope())
        } onCancel: {
            process.requestStop(nil, reason: .cancelled)
        }
    }

    /// Most programs end when their streams do.
    private func endOfScope() async throws(StopError) -> Exit {
        closeStreams()
        watched.forgetFailedStop()
        let plan = command.stopPlan
        watched.loop.execute { [watched] in
            watched.loop.call(after: .milliseconds(200)) { watched.stop(plan, reason: .stopped) }
        }
        return try await watched.waitForEnd()
    }

    private func closeStreams() {
        stdin?.close()
        stdout?.close()
        stderr?.close()
    }
}
