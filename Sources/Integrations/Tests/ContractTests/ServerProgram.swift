// A server that a test starts, watches and is sure to end.

import Glibc
import Testing

struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds, asking every few milliseconds.
func eventually(
    within limit: Duration = .seconds(60), _ what: @autoclosure () -> String, _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        if ContinuousClock.now > end { throw NotInTime(description: "not within \(limit): \(what())") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A product of this package, running in a process group of its own. Whatever is left of it is killed when the object
/// goes.
final class ServerProgram: @unchecked Sendable {
    // Sendable: `status` is written under the test's own await, one waiter at a time.
    let pid: Int32
    private let outputPath: String
    private let errorPath: String
    private var status: Int32?

    init(_ product: String, workers: Int, environment: [String: String] = [:]) throws {
        outputPath = try temporaryFile()
        errorPath = try temporaryFile()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_APPEND, 0)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_APPEND, 0)
        for number in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, number) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A test runner's threads block signals and its runtime ignores some. A program starts with neither.
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let path = Self.folder + "/" + product
        var variables = environment
        variables["PREFORK_WORKERS"] = "\(workers)"
        variables["PATH"] = "/usr/bin:/bin"
        var argv = ([path] as [String]).map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, path, &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw NotInTime(description: "\(path) was not started: errno \(code)") }
        pid = child
    }

    deinit {
        kill(-pid, SIGKILL)
        if status == nil { waitpid(pid, nil, 0) }
        unlink(outputPath)
        unlink(errorPath)
    }

    var output: String { contents(outputPath) }
    var errors: String { contents(errorPath) }

    func send(_ signal: Int32) {
        kill(pid, signal)
    }

    var workers: Set<Int32> {
        Set(contents("/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap { Int32($0) })
    }

    /// The port it says it listens on.
    func port() async throws -> UInt16 {
        var port: UInt16?
        try await eventually("\(pid) says where it listens\n\(errors)") {
            let line = self.output.split(separator: "\n").first { $0.hasPrefix("listening on ") }
            port = line?.split(separator: ":").last.flatMap { UInt16($0) }
            return port != nil
        }
        return port!
    }

    /// The exit code, or minus the signal.
    func waitForExit() async throws -> Int32 {
        try await eventually("\(pid) has ended\n\(output)\n\(errors)") {
            if self.status != nil { return true }
            var status: Int32 = 0
            guard waitpid(self.pid, &status, WNOHANG) == self.pid else { return false }
            self.status = status
            return true
        }
        let status = self.status!
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
    }

    /// Whether a process of its group lives.
    var isAnybodyLeft: Bool { kill(-pid, 0) == 0 }

    private static var folder: String {
        let program = CommandLine.arguments[0]
        guard let slash = program.lastIndex(of: "/"), program.contains(".xctest") else { return ".build/debug" }
        return String(program[..<slash])
    }
}

private func temporaryFile() throws -> String {
    var template = Array("/tmp/prefork-interop-XXXXXX".utf8CString)
    let fd = mkstemp(&template)
    guard fd >= 0 else { throw NotInTime(description: "no temporary file: errno \(errno)") }
    close(fd)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

func contents(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}
