// A program that a test starts, watches and is sure to end.

import Glibc
public import PreforkSystem

/// A running program in a process group of its own. Whatever is left of the group is killed when the object goes.
public final class ChildProgram: @unchecked Sendable {
    // Sendable: `status` is written under the test's own await, one waiter at a time.
    public let pid: Int32
    private let outputPath: String
    private let errorPath: String
    private var status: Int32?

    /// Starts a product of this package, for example `fork-fixture`, or the program of an absolute path.
    ///
    /// - Parameters:
    ///   - preparation: shell commands to run before the program in its process, for what posix_spawn cannot set:
    ///     `ulimit -n 30`, or joining a control group.
    ///   - brokenErrorPipe: standard error is a pipe whose reader is gone.
    ///   - ownSession: it leads a session, as a service of systemd does.
    public init(
        _ product: String, _ arguments: [String] = [], environment: [String: String] = [:], preparation: String? = nil,
        brokenErrorPipe: Bool = false, ownSession: Bool = false
    ) throws {
        var arguments = arguments
        var path = product.hasPrefix("/") ? product : Self.path(of: product)
        if let preparation {
            arguments = ["-c", "\(preparation); exec \"$0\" \"$@\"", path] + arguments
            path = "/bin/sh"
        }
        outputPath = try temporaryFile()
        errorPath = try temporaryFile()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_APPEND, 0)
        var pipeEnds: [Int32] = [-1, -1]
        if brokenErrorPipe {
            pipe(&pipeEnds)
            posix_spawn_file_actions_adddup2(&actions, pipeEnds[1], 2)
            posix_spawn_file_actions_addclose(&actions, pipeEnds[0])
            posix_spawn_file_actions_addclose(&actions, pipeEnds[1])
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_APPEND, 0)
        }
        // What other tests have open in this process is nothing for this program. To close what is not open is no error
        // here.
        for number in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, number) }
        defer { pipeEnds.forEach { close($0) } }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A test runner's threads block signals and its runtime ignores some. A program starts with neither.
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        // POSIX_SPAWN_SETSID, which Glibc's module map does not show everywhere.
        let place = ownSession ? 0x80 : POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(place | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let variables = Self.inheritedEnvironment().filter { !$0.hasPrefix("PREFORK_") }
        // A reload is over when its last worker is ready, unless the test is about what follows.
        // On a busy machine any loop stands still now and then, which is the subject of its own tests.
        let environment = environment.merging([
            // Most tests count processes, or are about forks.
            "PREFORK_PROBATION": "0", "PREFORK_LOOP_STALL": "off", "PREFORK_SPARES": "0",
        ]) { own, _ in own }
        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        var envp = (variables + environment.map { "\($0)=\($1)" }).map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, path, &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw SpawnError(path: path, code: code) }
        pid = child
    }

    deinit {
        killGroup()
        if status == nil { waitpid(pid, nil, 0) }
        unlink(outputPath)
        unlink(errorPath)
    }

    /// Kills what is left of its group.
    ///
    /// Its number names the group as long as one of it is left. Where a process has that number although this one was
    /// collected, the group is another program's: numbers come again after some minutes of tests.
    public func killGroup() {
        if status == nil || kill(pid, 0) != 0 { kill(-pid, SIGKILL) }
    }

    /// What it has written to standard output so far.
    public var output: String { read(outputPath) }
    /// What it has written to standard error so far.
    public var errors: String { read(errorPath) }

    public func send(_ signal: Signal) {
        kill(pid, signal.rawValue)
    }

    /// Its children, all or those whose command line is a worker's.
    public var children: [Int32] { childrenOf(pid) }

    /// How many processes its group has, itself included.
    public var groupSize: Int {
        processes().count { getpgid($0) == pid && !isZombie($0) }
    }

    public var openDescriptors: Int {
        entries("/proc/\(pid)/fd").count
    }

    /// Waits for its end.
    ///
    /// - Returns: the exit code, or minus the signal.
    public func waitForExit(within limit: Duration = .seconds(30)) async throws -> Int32 {
        try await eventually(within: limit, "\(pid) has ended\n\(output)\n\(errors)") {
            if self.status != nil { return true }
            var status: Int32 = 0
            guard waitpid(self.pid, &status, WNOHANG) == self.pid else { return false }
            self.status = status
            return true
        }
        let status = self.status!
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
    }

    /// Waits until standard output has a line that starts with `text`, and returns what follows on it.
    @discardableResult
    public func waitForLine(_ text: String, within limit: Duration = .seconds(30)) async throws -> String {
        var found = ""
        try await eventually(within: limit, "a line '\(text)'\n\(output)\n\(errors)") {
            guard let line = self.output.split(separator: "\n").first(where: { $0.hasPrefix(text) }) else {
                return false
            }
            found = String(line.dropFirst(text.count))
            return true
        }
        return found
    }

    /// Where a product of this package is: beside the test runner.
    public static func path(of product: String) -> String {
        let program = CommandLine.arguments[0]
        guard program.contains(".xctest"), let end = program.lastIndex(of: "/") else {
            return ".build/debug/\(product)"
        }
        return "\(program[..<end])/\(product)"
    }

    private static func inheritedEnvironment() -> [String] {
        var variables: [String] = []
        var entry = environ
        while let text = entry.pointee {
            variables.append(String(cString: text))
            entry += 1
        }
        return variables
    }
}

struct SpawnError: Error {
    let path: String
    let code: Int32
}
