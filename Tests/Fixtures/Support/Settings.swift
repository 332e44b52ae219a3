// What a scenario is told: NAME=VALUE.

package struct Settings {
    private var values: [String: String] = [:]

    package init(_ arguments: [String]) {
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            require(parts.count == 2, "\(argument) is not NAME=VALUE")
            values[parts[0]] = parts[1]
        }
    }

    package subscript(name: String) -> String? { values[name] }

    package func number(_ name: String) -> Int? { values[name].flatMap { Int($0) } }

    package func milliseconds(_ name: String) -> Duration? { number(name).map { .milliseconds($0) } }
}

/// Switches that a test turns while the program runs: files in a folder, by name.
package struct Switches {
    package let folder: String

    package init(folder: String) { self.folder = folder }

    package func isOn(_ name: String) -> Bool { access("\(folder)/\(name)", F_OK) == 0 }

    /// Blocks the process for as long as a switch is on.
    package func wait(while name: String) {
        while isOn(name) { usleep(5_000) }
    }
}
