// The environment as a whole: read once at start, and cleared of what is meant for this process alone.

import CPrefork
import Glibc

package enum ProcessEnvironment {
    /// Every variable. Of a name that is there twice the first counts, as for getenv(3).
    package static var all: [String: String] {
        var variables: [String: String] = [:]
        guard var entry = cprefork_environment() else { return [:] }
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, variables[String(parts[0])] == nil { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }

    /// Removes variables, so that no program started later sees them. Before this process has a second thread: see
    /// setenv(3).
    package static func remove(_ names: [String]) {
        for name in names { unsetenv(name) }
    }

    /// Sets one, for a program that is going to replace this one.
    package static func set(_ name: String, to value: String) throws(SystemError) {
        try systemCall("setenv", on: name) { setenv(name, value, 1) }
    }
}
