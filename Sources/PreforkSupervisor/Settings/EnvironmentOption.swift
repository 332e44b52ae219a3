// One setting that the environment can change.

import PreforkSystem

/// A variable of the environment, and the setting that it changes.
package struct EnvironmentOption: Sendable {
    /// `PREFORK_...`
    package let name: String
    /// One sentence.
    package let meaning: String
    /// What values look like.
    package let shape: String
    /// nil for what is no value of it.
    let set: @Sendable (String, inout RuntimeSettings) -> Bool
    let show: @Sendable (RuntimeSettings) -> String
    private let path: @Sendable () -> String
    /// Reports a value that the program has set and the variable would not accept. If nil, it is accepted.
    let problem: @Sendable (RuntimeSettings) -> EnvironmentSettingsError.Problem?

    /// - Parameter property: as a program knows it, below `RuntimeSettings`, where the key path is one of ours.
    init<Value>(
        _ name: String, _ setting: any WritableKeyPath<RuntimeSettings, Value> & Sendable,
        _ format: SettingFormat<Value>,
        _ meaning: String, property: String? = nil
    ) {
        self.name = "PREFORK_\(name)"
        self.meaning = meaning
        shape = format.shape
        set = { text, settings in
            guard let value = format.parse(text), format.accepts(value) else { return false }
            settings[keyPath: setting] = value
            return true
        }
        show = { format.show($0[keyPath: setting]) }
        // A key path shows itself as `\RuntimeSettings.bootTimeout`.
        let path: @Sendable () -> String = { property ?? String("\(setting)".drop { $0 != "." }.dropFirst()) }
        self.path = path
        problem = { [shape] settings in
            let value = settings[keyPath: setting]
            if format.accepts(value) { return nil }
            let shown = format.show(value)
            // `show` rounds: a negative nanosecond would read as 0s, which is accepted.
            let text = format.parse(shown) == nil ? shown : "\(value)"
            return .init(name: "RuntimeSettings.\(path())", value: text, expected: shape)
        }
    }

    /// Its value where neither the program nor the environment sets it.
    package var standard: String { show(RuntimeSettings()) }

    /// The same setting in a program, as a property of its `ForkRuntime`.
    package var property: String { "settings.\(path())" }
}
