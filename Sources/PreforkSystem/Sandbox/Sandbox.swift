// What a process may still do, as a value.

/// Bounds that a process sets itself and can never leave again: which files and ports it reaches (Landlock), and which
/// system calls it makes (seccomp). What it starts has the same bounds.
///
/// ```swift
/// var sandbox = Sandbox.networkServer
/// sandbox.files = [.read("/srv/site"), .write("/var/lib/shop")]
/// sandbox.connectPorts = [5432]
/// runtime.sandbox = sandbox
/// ```
///
/// Descriptors that are open already stay usable, and listeners are open before workers are forked. A sandboxed process
/// gains no rights by set-user-ID programs (PR_SET_NO_NEW_PRIVS). What the kernel lacks is left out and said once in
/// the log, or refuses the start with `isStrict`.
///
/// - Note: landlock(7), Linux 5.13 and newer. seccomp(2), SECCOMP_SET_MODE_FILTER, Linux 3.17.
public struct Sandbox: Hashable, Sendable {
    /// Which system calls a process may make.
    public enum SystemCalls: Hashable, Sendable, CaseIterable {
        /// Every call.
        case all
        /// What servers, their libraries and the programs that they start need. Not: modules, mounts, clocks and names
        /// of the machine, namespaces, ptrace(2) and the memory of other processes, keys, BPF, performance counters,
        /// io_uring(7). New sockets are of the Unix, Internet or netlink families.
        case networkServer
        /// As `networkServer`, but new sockets are Unix sockets. Sockets that were opened before, or that another
        /// process passes on, stay usable.
        case local
    }

    /// What happens when a process makes a call that is not allowed.
    public enum Refusal: Hashable, Sendable {
        /// The call fails with EPERM. What libraries can do in another way fails with ENOSYS.
        case error
        /// SIGSYS ends the process. What libraries can do in another way still fails with ENOSYS.
        case kill
    }

    /// What may be done with a file, or with everything below a directory. Paths are absolute. What is not there when
    /// the process enters its sandbox cannot be reached later either.
    public enum FileRule: Hashable, Sendable {
        /// Open files for reading, and list directories.
        case read(String)
        /// As `read`, and write, make, rename and remove files.
        case write(String)
        /// As `read`, and run programs.
        case execute(String)
    }

    /// Which system calls are allowed.
    public var systemCalls: SystemCalls
    /// What happens at any other call.
    public var refusal = Refusal.error
    /// The files that the process may open, beside what the C library, the Swift runtime and its backtraces need:
    /// system libraries, /proc, time zones, the files of name lookups, /dev/null, random numbers. If nil, all files.
    public var files: [FileRule]?
    /// The TCP ports that the process may bind. Its inherited listeners are bound already. If nil, all ports.
    public var bindPorts: [UInt16]?
    /// The TCP ports that the process may connect to, on any host. If nil, all ports.
    public var connectPorts: [UInt16]?
    /// The process reaches only processes that it has started itself with signals and abstract Unix sockets.
    public var isScoped = true
    /// Whether a kernel that lacks a part of it, or a file of `files` that is not there, refuses the start.
    public var isStrict = false

    /// - Parameter systemCalls: which system calls are allowed. All else is as in `networkServer`.
    public init(systemCalls: SystemCalls) {
        self.systemCalls = systemCalls
    }

    /// For workers that serve: the system calls of servers, signals to own processes only, all files and ports.
    public static let networkServer = Sandbox(systemCalls: .networkServer)
    /// As `networkServer`, without new Internet sockets: for processes that get their work over channels.
    public static let local = Sandbox(systemCalls: .local)
}

/// Why a process has no sandbox. In a child, the process ends.
public struct SandboxError: Error, Hashable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The sandbox is strict, and this is what the kernel, or the file system, lacks.
        case lacking([String])
        /// A path is relative, or has a NUL byte or a comma.
        case badPath(String)
        /// A system call failed.
        case system(SystemError)
    }

    /// What went wrong.
    public let code: Code

    package init(_ code: Code) {
        self.code = code
    }
}

extension SandboxError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .lacking(let parts): "the strict sandbox cannot be had: \(parts.joined(separator: ", "))"
        case .badPath(let path):
            "a path of the sandbox must be absolute, without commas and NUL bytes, not '\(Escaping.brief(path))'"
        case .system(let error): "\(error)"
        }
    }
}
