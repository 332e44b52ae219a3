// The parts that a stream's description refers to.

import PreforkSystem

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

extension Command {
    /// Refuses streams if no caller could use them.
    func checkThatNobodyIsNeeded() throws(SpawnError) {
        if stdin.needsUser || stdout.needsUser || stderr.needsUser {
            throw SpawnError(command: "nobody can use a stream of \(name) here; see `spawn` and `with`")
        }
    }
}
