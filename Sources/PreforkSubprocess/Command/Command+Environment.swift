// The environment of a command.

import PreforkSystem

extension Command {
    /// Environment variables for the new process: this process's variables with changes, or exactly the named ones.
    ///
    /// Byte-exact: what is inherited is neither decoded nor repaired.
    public struct Environment: Hashable, Sendable {
        var edits = EnvironmentEdits()

        /// This process's environment at the time of the start.
        public static let inherit = Environment()

        /// Nothing but `variables`.
        public static func only(_ variables: [RawText: RawText]) -> Environment {
            var environment = Environment()
            environment.edits.inheritsAll = false
            for (name, value) in variables.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
                environment[name] = value
            }
            return environment
        }

        /// This process's environment with `variables` set, or removed where the value is nil.
        public static func inherit(changing variables: [RawText: RawText?]) -> Environment {
            var environment = Environment()
            for (name, value) in variables { environment[name] = value }
            return environment
        }

        /// A variable's value for the new process. Setting nil removes it.
        public subscript(name: RawText) -> RawText? {
            get { edits.value(of: name.bytes).map { RawText(bytes: $0) } }
            set { edits.set(name.bytes, to: newValue?.bytes) }
        }

        /// The first variable that no environment can hold: an empty name, one with `=`, or a NUL byte.
        var invalidName: RawText? {
            let change = edits.changes.first { change in
                change.name.isEmpty || change.name.contains(UInt8(ascii: "=")) || change.name.contains(0)
                    || (change.value ?? []).contains(0)
            }
            return change.map { RawText(bytes: $0.name) }
        }
    }
}
