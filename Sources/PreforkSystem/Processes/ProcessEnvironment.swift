// The environment as a whole: read once at start, and cleared of what is meant for this process alone.

import CPrefork
import Glibc

package enum ProcessEnvironment {
    /// Every variable. Of a name that is there twice the first counts, as for getenv(3).
    package static var all: [String: String] {
        var variables: [String: String] = [:]
        guard var entry = cprefork_environment() else { return [:] }
        while let text = entry.pointee {
            entry += 1
            guard let end = strchr(text, Int32(UInt8(ascii: "="))) else { continue }
            // Proof: `end` lies in the string of `text`, which no other thread changes (setenv(3)) while it is copied.
            let name = String(decoding: UnsafeRawBufferPointer(start: text, count: end - text), as: UTF8.self)
            if variables[name] == nil { variables[name] = String(cString: end + 1) }
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
