// One setting that the environment can change.

import PreforkSystem

/// A variable of the environment, and the setting that it changes.
public struct EnvironmentOption: Sendable {
    /// `PREFORK_...`
    public let name: String
    /// One sentence.
    public let meaning: String
    /// What values look like.
    public let shape: String
    /// nil for what is no value of it.
    let set: @Sendable (String, inout RuntimeSettings) -> Bool
    let show: @Sendable (RuntimeSettings) -> String

    init<Value>(
        _ name: String, _ setting: any WritableKeyPath<RuntimeSettings, Value> & Sendable,
        _ format: SettingFormat<Value>,
        _ meaning: String
    ) {
        self.name = "PREFORK_\(name)"
        self.meaning = meaning
        shape = format.shape
        set = { text, settings in
            guard let value = format.parse(text) else { return false }
            settings[keyPath: setting] = value
            return true
        }
        show = { format.show($0[keyPath: setting]) }
    }

    /// What it is where nobody has set it.
    public var standard: String { show(RuntimeSettings()) }
}
