// The rows by Prefork: in a worker, or with `async` first in a plain program on Swift's thread pool.

import Measurement
import Prefork

struct PreforkRows: SubprocessRows {
    func spawnTrue() async throws {
        let command = Command("/bin/true", stdin: .inherit, stdout: .inherit, stderr: .inherit)
        try await Subprocess.spawn(command).waitForExit()
    }

    func drain(bytes: Int) async throws -> Int {
        let process = try await Subprocess.spawn(Command("head", "-c", "\(bytes)", "/dev/zero", stdout: .stream))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
        defer { buffer.deallocate() }
        var total = 0
        while case let count = try await process.stdout!.read(into: buffer), count > 0 { total += count }
        try await process.waitForExit()
        return total
    }

    func lines(of path: String) async throws -> Int {
        let process = try await Subprocess.spawn(Command("cat", path, stdout: .stream))
        var count = 0
        for try await _ in process.stdout!.lines { count += 1 }
        try await process.waitForExit()
        return count
    }

    func byteLines(of path: String) async throws -> Int {
        let process = try await Subprocess.spawn(Command("cat", path, stdout: .stream))
        var count = 0
        for try await _ in process.stdout!.byteLines { count += 1 }
        try await process.waitForExit()
        return count
    }

    func echo(_ count: Int, lap: @escaping @Sendable () -> Void) async throws {
        let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
        let message = [UInt8](repeating: 120, count: 64)
        for _ in 0..<count {
            try await process.stdin!.write(message)
            _ = try await process.stdout!.read(exactly: 64)
            lap()
        }
        process.stdin!.close()
        try await process.waitForExit()
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "async" {
    try await measure(PreforkRows(), Array(arguments.dropFirst()))
} else {
    try ForkRuntime(workers: .count(1)).run { _ in try await measure(PreforkRows(), arguments) }
}
