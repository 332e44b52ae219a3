// As which user a command runs, and within which limits.

import PreforkSystem

extension Command {
    /// Which process group a command is in.
    public enum Group: Hashable, Sendable {
        /// A new group, so that `stop` reaches what the command starts. This process's group when standard input is an
        /// inherited terminal, which would stop a command of another group that reads from it.
        case automatic
        /// This process's group: a Ctrl-C at the terminal reaches both. `stop` reaches the command only.
        case inherit
        /// A new group, led by the command.
        case new
        /// An existing group of this session.
        case join(Int32)
        /// A new session without a terminal, or with the pseudo-terminal of its streams.
        case session
        /// As `session`, and the program lives on when the worker or managed process that has started it ends, and when
        /// its supervisor does. All others end with the worker.
        case detached
    }

    /// The user and groups whose privileges a command has. Privileges are dropped in the only order that works: groups,
    /// group, user.
    public struct Identity: Hashable, Sendable {
        /// The user's ID, or nil for this process's user.
        public var user: UInt32?
        /// The primary group's ID, or nil for this process's group.
        public var group: UInt32?
        /// Nil keeps this process's, which is seldom what is meant.
        public var supplementaryGroups: [UInt32]?

        /// Users and groups by their IDs. Changing any of them needs root or CAP_SETUID and CAP_SETGID. Otherwise the
        /// start throws `SpawnError` at the refused step.
        ///
        /// - Parameters:
        ///   - user: nil keeps this process's user.
        ///   - group: nil keeps this process's group.
        ///   - supplementaryGroups: by default empty. Nil keeps this process's.
        public init(user: UInt32?, group: UInt32? = nil, supplementaryGroups: [UInt32]? = []) {
            self.user = user
            self.group = group
            self.supplementaryGroups = supplementaryGroups
        }
    }

    /// A bound on what a command may use (getrlimit(2)).
    public struct Limit: Hashable, Sendable {
        let resource: Int32
        let soft: UInt64
        let hard: UInt64

        private init(_ resource: Int32, _ value: UInt64) {
            self.init(resource: resource, soft: value, hard: value)
        }

        /// Any resource by its number: RLIMIT_RTPRIO and the like.
        public init(resource: Int32, soft: UInt64, hard: UInt64) {
            self.resource = resource
            self.soft = soft
            self.hard = hard
        }

        /// Highest descriptor number plus one.
        public static func openFiles(_ count: UInt64) -> Limit { Limit(ResourceName.openFiles, count) }
        /// Processes and threads of the user.
        public static func processes(_ count: UInt64) -> Limit { Limit(ResourceName.processes, count) }
        /// Virtual memory, in bytes.
        public static func addressSpace(_ bytes: UInt64) -> Limit { Limit(ResourceName.addressSpace, bytes) }
        /// Heap and data, in bytes.
        public static func data(_ bytes: UInt64) -> Limit { Limit(ResourceName.dataSize, bytes) }
        /// Stack of the main thread, in bytes.
        public static func stack(_ bytes: UInt64) -> Limit { Limit(ResourceName.stackSize, bytes) }
        /// Largest file it may write, in bytes.
        public static func fileSize(_ bytes: UInt64) -> Limit { Limit(ResourceName.fileSize, bytes) }
        /// Largest core file, in bytes. With 0, no core file is written.
        public static func core(_ bytes: UInt64) -> Limit { Limit(ResourceName.coreSize, bytes) }
        /// Memory locked into RAM, in bytes.
        public static func lockedMemory(_ bytes: UInt64) -> Limit { Limit(ResourceName.lockedMemory, bytes) }
        /// Processor time in whole seconds, then SIGXCPU, and SIGKILL a second later.
        public static func processorTime(seconds: UInt64) -> Limit {
            Limit(resource: ResourceName.cpuSeconds, soft: seconds, hard: seconds == .max ? .max : seconds + 1)
        }
    }

    /// A control group to put the process into (cgroups(7)).
    public struct ControlGroup: Hashable, Sendable {
        /// Its directory, below /sys/fs/cgroup.
        public var path: RawText
        /// Nothing else is in it: SIGKILL to the `.tree` ends everything in it, also what has left the process's
        /// session and become init's child.
        public var isExclusive: Bool

        /// A control group that exists and that this process may write to. Otherwise the start throws `SpawnError` at
        /// `.controlGroup`.
        ///
        /// - Parameters:
        ///   - path: its directory, below /sys/fs/cgroup.
        ///   - isExclusive: whether only the command and its descendants are in it, so that a stop may kill all of it.
        public init(_ path: RawText, isExclusive: Bool = false) {
            self.path = path
            self.isExclusive = isExclusive
        }
    }

    /// Size of a terminal in characters.
    public struct TerminalSize: Hashable, Sendable {
        /// Height in lines.
        public var rows: UInt16
        /// Width in characters.
        public var columns: UInt16

        /// A size in characters, for `Command.terminalSize` and `Subprocess.resizeTerminal(to:)`.
        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }
}
