// Settings for people: `--print-config`, and the table of the manual.

import PreforkSystem

extension EnvironmentSettings {
    /// Every setting as a line `NAME=value` below its meaning, for a shell or systemd's `EnvironmentFile=`. Both read
    /// the same values from it.
    ///
    /// A setting is a comment, `#NAME=value`, if it has its default and the environment of this process does not name
    /// it. Otherwise the file would override what its reader has set elsewhere, for example by `Environment=` in the
    /// unit. The meaning of a value that is not the default ends with the default.
    public static func text(of settings: RuntimeSettings) -> String {
        text(of: settings, environment: ProcessEnvironment.all)
    }

    /// - Parameter environment: variables that have values here are no comments.
    static func text(of settings: RuntimeSettings, environment: [String: String]) -> String {
        options.map { option in
            let value = option.show(settings)
            let isDefault = value == option.standard
            let isSet = !isDefault || environment[option.name]?.isEmpty == false
            let note = isDefault ? "" : " Default: \(option.standard)."
            let mark = isSet ? "" : "#"
            return "# \(option.meaning) (\(option.shape))\(note)\n\(mark)\(option.name)=\(quoted(value))\n"
        }.joined(separator: "\n")
    }

    /// The manual's table.
    package static var markdown: String {
        let rows = options.map {
            "| `\($0.name)` | `\($0.property)` | \($0.meaning) | \($0.shape) | `\($0.standard)` |"
        }
        let head = ["| variable | property | meaning | values | default |", "|---|---|---|---|---|"]
        return (head + rows).joined(separator: "\n") + "\n"
    }

    /// In the part of the shell's quoting that systemd reads in the same way. It lacks `'\''`: after a closing quote
    /// systemd takes the next one for a character of the value. In double quotes both take a backslash away before `"`,
    /// `\`, `` ` `` and `$` alone.
    private static func quoted(_ value: String) -> String {
        let plain = value.utf8.allSatisfy { byte in
            byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || "/.:,%+-_@".utf8.contains(byte)
        }
        if plain, !value.isEmpty { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            if "\"\\`$".unicodeScalars.contains(scalar) { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return text + "\""
    }
}
