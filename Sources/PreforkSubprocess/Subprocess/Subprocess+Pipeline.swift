// Commands that feed each other: a | b | c.

import PreforkSystem

/// What a pipeline has written, and how each of its commands ended.
public struct PipelineOutput: Sendable {
    /// In the order of the commands. Standard output is collected from the last one only.
    public let stages: [Subprocess.Output]

    /// Standard output of the last command.
    public var stdout: [UInt8] { stages.last?.stdout ?? [] }
    /// Standard output of the last command as text, with invalid UTF-8 repaired.
    public var stdoutText: String { stages.last?.stdoutText ?? "" }

    /// Which commands must succeed.
    public enum Success: Hashable, Sendable {
        /// All. A command that writes to one that has read enough ends by SIGPIPE, which is not a failure.
        case all
        /// The last, as in a shell without `pipefail`.
        case last
    }

    /// This output, if the commands succeeded.
    ///
    /// - Throws: `CalledProcessError` of the first one that failed.
    @discardableResult
    public func check(_ success: Success = .all) throws(CalledProcessError) -> PipelineOutput {
        for (index, stage) in stages.enumerated() {
            let isLast = index == stages.count - 1
            if success == .last && !isLast { continue }
            if !isLast, case .signaled(.brokenPipe, _) = stage.exit.status { continue }
            try stage.check()
        }
        return self
    }
}

extension Subprocess {
    /// Runs commands at once, each one's standard output being the next one's standard input, through pipes that this
    /// process does not touch. Standard error of each and standard output of the last are collected by default.
    ///
    /// A command that cannot be started, and cancellation, stop the others. A timeout belongs to its command. When a
    /// command ends, its neighbours see the end of their pipes.
    ///
    /// - Parameter commands: at least one. Standard output of all but the last, and standard input of all but the
    ///   first, must be left as they are.
    public static func pipeline(_ commands: [Command]) async throws -> PipelineOutput {
        for command in commands { try command.rejectInteractiveStreams() }
        try Task.checkCancellation()
        let processes = try await startPipeline(commands)
        return try await withTaskCancellationHandler {
            var stages: [Output] = []
            do {
                for process in processes { stages.append(try await process.output()) }
            } catch {
                for process in processes { _ = try? await process.stop() }
                throw error
            }
            return PipelineOutput(stages: stages)
        } onCancel: {
            for process in processes { process.requestStop(nil, reason: .cancelled) }
        }
    }

    private static func startPipeline(_ commands: [Command]) async throws -> [Subprocess] {
        if commands.isEmpty { throw SpawnError(command: "a pipeline without commands") }
        // Ends of pipes that the commands have taken over go with each round.
        let pipes = DescriptorSet()
        var processes: [Subprocess] = []
        do {
            var input: Int32?
            for (index, command) in commands.enumerated() {
                let output = index == commands.count - 1 ? nil : try makeBlockingPipe()
                if let output { [output.reading, output.writing].forEach { pipes.add($0) } }
                let stage = try command.stage(from: input, to: output?.writing)
                processes.append(try await spawn(stage, collectsByDefault: true))
                for taken in [input, output?.writing].compactMap({ $0 }) { pipes.close(taken) }
                input = output?.reading
            }
            return processes
        } catch {
            pipes.closeAll()
            for process in processes { _ = try? await process.stop() }
            throw error
        }
    }
}

extension Command {
    /// This command between two pipes.
    fileprivate func stage(from input: Int32?, to output: Int32?) throws(SpawnError) -> Command {
        var stage = self
        if let input {
            guard stdin == .null else { throw SpawnError(command: "standard input of \(name), which is a pipeline's") }
            stage.stdin = .descriptor(input)
        }
        if let output {
            guard stdout == .automatic else {
                throw SpawnError(command: "standard output of \(name), which is a pipeline's")
            }
            stage.stdout = .descriptor(output)
        }
        return stage
    }
}
