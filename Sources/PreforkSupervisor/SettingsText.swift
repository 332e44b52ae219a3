// Settings for people: `--print-config`, and the table of the manual.

extension EnvironmentSettings {
    /// Every setting as a line `NAME=value` that a shell or an EnvironmentFile= can read, each below its meaning. What
    /// is not the default says what the default is.
    public static func text(of settings: RuntimeSettings) -> String {
        options.map { option in
            let value = option.show(settings)
            let note = value == option.standard ? "" : " Default: \(option.standard)."
            return "# \(option.meaning) (\(option.shape))\(note)\n\(option.name)=\(quoted(value))\n"
        }.joined(separator: "\n")
    }

    /// The manual's table.
    public static var markdown: String {
        let rows = options.map { "| `\($0.name)` | \($0.meaning) | \($0.shape) | `\($0.standard)` |" }
        return (["| variable | meaning | values | default |", "|---|---|---|---|"] + rows).joined(separator: "\n")
            + "\n"
    }

    /// For a shell: as it is, if nothing in it means anything there.
    private static func quoted(_ value: String) -> String {
        let plain = value.utf8.allSatisfy { byte in
            byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || "/.:,%+-_@".utf8.contains(byte)
        }
        if plain, !value.isEmpty { return value }
        return "'" + value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
