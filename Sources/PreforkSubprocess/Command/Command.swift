// A program to run, as a value.

public import PreforkSystem

/// What to run and how: a plain value that holds no descriptor and can be used any number of times.
///
///     let output = try await Subprocess.run(Command("git", "log", "--oneline")).check()
///
/// Follows the arguments of Python's and tornado's Subprocess.
public struct Command: Hashable, Sendable {
    /// Which program.
    public enum Program: Hashable, Sendable {
        /// Searched in the directories of the command's own PATH, never in the current one. A name with a slash is
        /// refused: it is a path.
        case name(RawText)
        /// A path. A relative one is relative to this process's directory, whatever `workingDirectory` is.
        case path(RawText)
    }

    /// Which program is run.
    public var program: Program
    /// The arguments after the program's name. They reach the program as they are, because no shell is involved.
    public var arguments: [RawText]
    /// What the program finds as its name (`argv[0]`). By default, the name it was called by.
    public var argument0: RawText?
    /// The program's environment variables. By default this process's.
    public var environment = Environment.inherit
    /// By default this process's.
    public var workingDirectory: RawText?

    /// Where standard input comes from. By default the null device.
    public var stdin: Input
    /// Where standard output goes. By default collected by `Subprocess.run` and `Subprocess.pipeline`, and inherited by
    /// other starts.
    public var stdout: Output
    /// Where standard error goes. By default like `stdout`.
    public var stderr: Output
    /// More descriptors, by the number that the program finds them at. The values are descriptors of this process,
    /// which stay open here. All others are closed in the program.
    public var descriptors: [Int32: Int32] = [:]
    /// Size of the pseudo-terminal, if a stream requests one.
    public var terminalSize = TerminalSize(rows: 24, columns: 80)

    /// Which process group the command is in, and so what a signal to the group reaches.
    public var group = Group.automatic
    /// By default this process's user and groups.
    public var identity: Identity?
    /// Bounds on what the command may use, set before it changes its user. By default this process's limits.
    public var limits: [Limit] = []
    /// File mode creation mask, for example 0o077.
    public var umask: UInt32?
    /// -20 (most favourable) to 19, absolute.
    public var niceness: Int32?
    /// The control group that the process is moved to before the program runs. If nil, this process's.
    public var controlGroup: ControlGroup?
    /// The program and what it runs can never gain privileges by set-user-ID files (prctl(2), PR_SET_NO_NEW_PRIVS).
    public var noNewPrivileges = false
    /// What the program may still do, beside the bounds of this process's own sandbox. Entered last, right before the
    /// program runs: `files` must let the program itself be executed. What the kernel lacks is left out. With
    /// `isStrict`, the start throws `SpawnError` at `.sandbox`.
    public var sandbox: Sandbox?
    /// The signal that the kernel sends to the process when this one ends, even by SIGKILL. The process is then started
    /// by the thread of the event loop, which lives as long as the loop (the kernel watches that thread).
    ///
    /// In workers and managed processes nil means SIGKILL, where `group` is not `.detached`: nothing of a service
    /// outlives it. Set-user-ID programs lose the signal.
    public var dieWithParent: Signal?

    /// How long the command may run. Then `stopPlan` ends it and the exit's reason is `.timedOut`. With zero or less,
    /// it is stopped as soon as it runs, as when a deadline is over. If nil, there is no bound.
    public var timeout: Duration?
    /// How `stop`, a timeout, a cancellation or too much output end the command. By default SIGTERM to the group, and
    /// SIGKILL after 5 seconds.
    public var stopPlan = StopPlan.standard
    /// How long streams outlive the command while another process holds their other end. By default 200 ms.
    public var lingering = Lingering.afterExit(.milliseconds(200))

    /// A program and its arguments, as bytes.
    ///
    /// Nothing is checked and nothing is opened here. The start throws `SpawnError` at `.command` for a NUL byte or an
    /// empty program.
    ///
    /// - Parameters:
    ///   - program: a name to search in PATH, or a path.
    ///   - arguments: without the program's name.
    public init(
        _ program: Program, arguments: [RawText] = [], stdin: Input = .null, stdout: Output = .automatic,
        stderr: Output = .automatic
    ) {
        self.program = program
        self.arguments = arguments
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
    }

    /// A program by name, or by path when `program` has a slash, and its arguments.
    ///
    ///     Command("git", "log", "--oneline", cwd: "/srv/site", env: ["PATH": "/usr/bin"])
    ///
    /// - Parameters:
    ///   - cwd: `workingDirectory`. If nil, this process's.
    ///   - env: the whole environment, as `.only`. If nil, this process's. See `environment` for changes to it.
    ///   - startNewSession: `group` is `.session`.
    public init(
        _ program: String, _ arguments: String..., stdin: Input = .null, stdout: Output = .automatic,
        stderr: Output = .automatic, cwd: String? = nil, env: [String: String]? = nil, startNewSession: Bool = false
    ) {
        self.init(
            program, arguments: arguments, stdin: stdin, stdout: stdout, stderr: stderr, cwd: cwd, env: env,
            startNewSession: startNewSession)
    }

    /// Like the form whose arguments follow one by one, but takes an array of them.
    public init(
        _ program: String, arguments: [String], stdin: Input = .null, stdout: Output = .automatic,
        stderr: Output = .automatic, cwd: String? = nil, env: [String: String]? = nil, startNewSession: Bool = false
    ) {
        self.init(
            program.contains("/") ? .path(RawText(program)) : .name(RawText(program)),
            arguments: arguments.map { RawText($0) }, stdin: stdin, stdout: stdout, stderr: stderr)
        workingDirectory = cwd.map { RawText($0) }
        if let env {
            environment = .only(Dictionary(uniqueKeysWithValues: env.map { (RawText($0.key), RawText($0.value)) }))
        }
        if startNewSession { group = .session }
    }
}

extension Command: CustomStringConvertible {
    /// The command as one would type it. Arguments may hold secrets: errors and log lines name the program only.
    public var description: String {
        ([name] + arguments).map { quoted($0.description) }.joined(separator: " ")
    }

    /// What the program was called: its name or path.
    public var name: RawText {
        switch program {
        case .name(let name), .path(let name): name
        }
    }

    private func quoted(_ text: String) -> String {
        if text.unicodeScalars.contains(where: Escaping.hides) { return escaped(text) }
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-")...UInt8(ascii: "/"), UInt8(ascii: "_"),
                    UInt8(ascii: "="), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: ","), UInt8(ascii: "+"):
                    true
                default: false
                }
            }
        return isPlain
            ? text
            : "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    /// As `$'\x1B'`, which shells know (POSIX.1-2024): what a terminal would obey is not sent to it.
    private func escaped(_ text: String) -> String {
        let parts = text.unicodeScalars.map { scalar in
            if scalar == "'" || scalar == "\\" { return "\\\(scalar)" }
            guard Escaping.hides(scalar) else { return String(scalar) }
            return String(scalar).utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
                .joined()
        }
        return "$'" + parts.joined() + "'"
    }
}
