// The environment of a new process: this one's, changed, or another one.

import CPrefork
import Glibc

/// Changes to an environment, byte-exact: a name or value need not be UTF-8.
package struct EnvironmentEdits: Hashable, Sendable {
    package var inheritsAll = true
    /// In the order they were made. Nil removes the name.
    package private(set) var changes: [(name: [UInt8], value: [UInt8]?)] = []

    package init() {}

    /// Sets or removes a name. The last change of a name counts.
    package mutating func set(_ name: [UInt8], to value: [UInt8]?) {
        changes.removeAll { $0.name == name }
        changes.append((name, value))
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.inheritsAll == b.inheritsAll
            && a.changes.elementsEqual(b.changes) { $0.name == $1.name && $0.value == $1.value }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(inheritsAll)
        for change in changes {
            hasher.combine(change.name)
            hasher.combine(change.value)
        }
    }

    /// The value of `name` for the new process, or nil if unset.
    package func value(of name: [UInt8]) -> [UInt8]? {
        if let change = changes.last(where: { $0.name == name }) { return change.value }
        guard inheritsAll else { return nil }
        return (name + [0]).withUnsafeBytes { name in
            // Ended by NUL just above.
            guard let value = getenv(name.baseAddress!.assumingMemoryBound(to: CChar.self)) else { return nil }
            return [UInt8](UnsafeRawBufferPointer(start: value, count: strlen(value)))
        }
    }

    /// `NAME=value` of every name that is set by a change.
    var entries: [[UInt8]] {
        changes.compactMap { change in change.value.map { change.name + [UInt8(ascii: "=")] + $0 } }
    }

    /// The entries of this process's environment that stay, where they are: no string is copied, decoded or repaired.
    ///
    /// The table is copied: a setenv(3) in another thread may free the old one while the child is in execve(2), which
    /// was seen as EFAULT. The strings stay (glibc keeps them). As with getenv(3), the copying itself is not safe
    /// against a setenv.
    func inheritedPointers() -> [UnsafeMutablePointer<CChar>] {
        guard inheritsAll, var entry = cprefork_environment() else { return [] }
        var kept: [UnsafeMutablePointer<CChar>] = []
        kept.reserveCapacity(64)
        while let text = entry.pointee {
            if changes.isEmpty || !isChanged(text) { kept.append(text) }
            entry += 1
        }
        return kept
    }

    private func isChanged(_ entry: UnsafeMutablePointer<CChar>) -> Bool {
        changes.contains { change in
            change.name.withUnsafeBytes { name in
                // No name is empty: such a command is refused before it gets here.
                // strncmp stops at the entry's NUL, so that the byte after the name is read only when it is there.
                strncmp(entry, name.baseAddress!.assumingMemoryBound(to: CChar.self), name.count) == 0
                    && entry[name.count] == CChar(UInt8(ascii: "="))
            }
        }
    }
}
