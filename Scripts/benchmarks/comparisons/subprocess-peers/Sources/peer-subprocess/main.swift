// The rows by swift-subprocess.

import Measurement
import Subprocess

#if canImport(System)
    import System
#else
    import SystemPackage
#endif

struct PeerRows: SubprocessRows {
    func spawnTrue() async throws {
        let result = try await run(
            .path("/bin/true"), input: .currentStandardInput, output: .currentStandardOutput,
            error: .currentStandardError)
        precondition(result.terminationStatus.isSuccess)
    }

    func drain(bytes: Int) async throws -> Int {
        let result = try await run(
            .path("/usr/bin/head"), arguments: ["-c", "\(bytes)", "/dev/zero"], input: .none, output: .sequence,
            error: .currentStandardError
        ) { execution in
            var total = 0
            for try await chunk in execution.standardOutput { total += chunk.count }
            return total
        }
        return result.closureResult
    }

    func lines(of path: String) async throws -> Int {
        let result = try await run(
            .path("/usr/bin/cat"), arguments: [path], input: .none, output: .sequence, error: .currentStandardError
        ) { execution in
            var count = 0
            for try await _ in execution.standardOutput.strings() { count += 1 }
            return count
        }
        return result.closureResult
    }

    /// It has no such thing.
    func byteLines(of path: String) async throws -> Int {
        try await lines(of: path)
    }

    func echo(_ count: Int, lap: @escaping @Sendable () -> Void) async throws {
        _ = try await run(
            .path("/usr/bin/cat"), input: .inputWriter, output: .sequence, error: .currentStandardError
        ) { execution in
            let message = [UInt8](repeating: 120, count: 64)
            var output = execution.standardOutput.makeAsyncIterator()
            for _ in 0..<count {
                _ = try await execution.standardInputWriter.write(message)
                var received = 0
                while received < 64, let chunk = try await output.next() { received += chunk.count }
                lap()
            }
            try await execution.standardInputWriter.finish()
        }
    }
}

try await measure(PeerRows(), Array(CommandLine.arguments.dropFirst()))
