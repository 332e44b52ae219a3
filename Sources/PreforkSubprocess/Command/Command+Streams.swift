// Descriptions of a command's standard streams, and the parts that they refer to.

extension Command {
    /// Where a command's standard input comes from.
    public enum Input: Hashable, Sendable {
        /// The null device: the end at once.
        case null
        /// This process's standard input. When that is closed, the null device.
        case inherit
        /// A pipe. `Subprocess.stdin` writes to it.
        case stream
        /// These bytes through a pipe, then the end. A program that does not read them all is not an error.
        case bytes([UInt8])
        /// A file, opened before the start. A relative path is relative to this process's directory.
        case file(RawText)
        /// A descriptor of this process, which stays open here.
        case descriptor(Int32)
        /// A new pseudo-terminal, shared by all streams that request one.
        case terminal

        /// The text as UTF-8, then the end.
        public static func text(_ text: String) -> Input { .bytes(Array(text.utf8)) }
    }

    /// Where a command's standard output or standard error goes.
    public indirect enum Output: Hashable, Sendable {
        /// Inherited, or collected by `Subprocess.run` and `Subprocess.pipeline` up to 16 MiB.
        case automatic
        /// The null device.
        case null
        /// This process's own. When that is closed, the null device.
        case inherit
        /// A pipe. `Subprocess.stdout` or `.stderr` reads from it.
        case stream
        /// Kept in memory, up to a limit in bytes, not below zero. See `Subprocess.output()`.
        case collect(limit: Int, overflow: Overflow = .stop)
        /// A file, opened before the start. A relative path is relative to this process's directory.
        case file(RawText, appending: Bool = false)
        /// A descriptor of this process, which stays open here.
        case descriptor(Int32)
        /// Standard error only: the same as standard output, in the order of the writes.
        case stdout
        /// All of these at once. A slow one delays the others, and a broken one is left out.
        case tee([Output])
        /// A new pseudo-terminal, shared by all streams that request one. `Subprocess.stdout` reads from it.
        case terminal

        /// Kept in memory, up to 16 MiB.
        public static let collect = Output.collect(limit: 16 << 20)
    }

    /// What happens if a command writes more than the limit of the collected output. The first bytes are kept in any
    /// case, and the output says that it is not whole.
    public enum Overflow: Hashable, Sendable {
        /// The command is stopped by its `stopPlan`.
        case stop
        /// The rest is read and discarded.
        case discard
    }

    /// How long streams outlive the command while another process, such as a grandchild in the background, holds their
    /// other end.
    public enum Lingering: Hashable, Sendable {
        /// What has been written so long after the exit is still read, then the streams end. Less than zero is zero.
        case afterExit(Duration)
        /// The streams end when no process can write to them any more, however long that takes.
        case untilEnd

        /// The streams end with what had been written at the exit.
        public static let closeAtExit = Lingering.afterExit(.zero)
    }
}

extension Command.Input {
    var files: [RawText] { if case .file(let path) = self { [path] } else { [] } }
    var descriptors: [Int32] { if case .descriptor(let number) = self { [number] } else { [] } }
    /// Whether the caller must write to it through `Subprocess.stdin`.
    var needsUser: Bool { self == .stream || self == .terminal }
}

extension Command.Output {
    /// Itself, or what a tee writes to.
    private var parts: [Command.Output] {
        if case .tee(let outputs) = self { outputs.flatMap(\.parts) } else { [self] }
    }
    var files: [RawText] { parts.compactMap { if case .file(let path, _) = $0 { path } else { nil } } }
    var descriptors: [Int32] { parts.compactMap { if case .descriptor(let number) = $0 { number } else { nil } } }
    /// How much is collected.
    var limits: [Int] { parts.compactMap { if case .collect(let limit, _) = $0 { limit } else { nil } } }
    /// Whether the caller must read it through `Subprocess.stdout` or `.stderr`.
    var needsUser: Bool { parts.contains { $0 == .stream || $0 == .terminal } }
}
