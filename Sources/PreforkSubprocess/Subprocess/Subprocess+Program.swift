// Starting a program by its name and arguments, without a Command.

public import PreforkSystem

extension Subprocess {
    /// Starts a program, as Python's Popen and tornado's Subprocess do:
    ///
    ///     let process = try await Subprocess(["git", "log"], stdout: .stream, cwd: "/srv/site")
    ///
    /// Standard input is the null device unless `stdin` says otherwise, and the process leads a new group.
    ///
    /// - Parameters:
    ///   - arguments: the program, by name or by path, then its arguments.
    ///   - cwd: the working directory. If nil, this process's.
    ///   - env: the whole environment. If nil, this process's.
    ///   - startNewSession: whether it leads a new session, without a terminal.
    /// - Throws: like `spawn`, and also for an empty array.
    public convenience init(
        _ arguments: [String], stdin: Command.Input = .null, stdout: Command.Output = .automatic,
        stderr: Command.Output = .automatic, cwd: String? = nil, env: [String: String]? = nil,
        startNewSession: Bool = false
    ) async throws(SpawnError) {
        let command = Command(
            arguments.first ?? "", arguments: Array(arguments.dropFirst()), stdin: stdin, stdout: stdout,
            stderr: stderr, cwd: cwd, env: env, startNewSession: startNewSession)
        self.init(sharing: try await .spawn(command))
    }

    /// Starts a program by its name, or by its path, with these arguments. See `spawn(_:)`.
    public static func spawn(
        _ program: String, _ arguments: String..., stdin: Command.Input = .null, stdout: Command.Output = .automatic,
        stderr: Command.Output = .automatic, cwd: String? = nil, env: [String: String]? = nil,
        startNewSession: Bool = false
    ) async throws(SpawnError) -> Subprocess {
        try await spawn(
            Command(
                program, arguments: arguments, stdin: stdin, stdout: stdout, stderr: stderr, cwd: cwd, env: env,
                startNewSession: startNewSession))
    }

    /// Runs a program by its name, or by its path, with these arguments, and collects its output. See `run(_:)`.
    public static func run(
        _ program: String, _ arguments: String..., stdin: Command.Input = .null, stdout: Command.Output = .automatic,
        stderr: Command.Output = .automatic, cwd: String? = nil, env: [String: String]? = nil,
        startNewSession: Bool = false
    ) async throws -> Output {
        try await run(
            Command(
                program, arguments: arguments, stdin: stdin, stdout: stdout, stderr: stderr, cwd: cwd, env: env,
                startNewSession: startNewSession))
    }
}
