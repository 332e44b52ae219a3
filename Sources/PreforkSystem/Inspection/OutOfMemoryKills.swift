// The count of kills by the kernel's out-of-memory killer in this control group.

/// The counter that distinguishes a worker killed for lack of memory from one killed by a process.
///
/// Version 2: `oom_kill` in memory.events, which counts the group and its descendants (kernel documentation,
/// cgroup-v2). Version 1: `oom_kill` in memory.oom_control (Linux 4.13).
package struct OutOfMemoryKills: Sendable {
    /// Where the count is, by the version of the control groups.
    enum Source: Equatable, Sendable {
        case events(String)
        case control(String)

        var path: String {
            switch self {
            case .events(let path), .control(let path): path
            }
        }
    }

    static let controlName = "memory.oom_control"

    let source: Source?

    package init() {
        self.init(.current) { (try? SmallFile.read($0)) != nil }
    }

    init(_ group: ControlGroup, exists: (String) -> Bool) {
        let candidates: [Source?] = [
            group.unified.map { .events("\($0.directory)/memory.events") },
            group.controllers["memory"].map { .control("\($0.directory)/\(Self.controlName)") },
        ]
        source = candidates.compactMap(\.self).first { exists($0.path) }
    }

    /// - Parameter events: a file in the form of memory.events.
    package init(events path: String) {
        source = .events(path)
    }

    /// The count so far, or nil if the kernel does not report it.
    package func current() -> UInt64? {
        guard let source, let text = try? SmallFile.read(source.path) else { return nil }
        return Self.count(in: text)
    }

    static func count(in text: String) -> UInt64? {
        // Byte by byte: it is asked at each kill, while the successor starts.
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) where line.starts(with: "oom_kill ".utf8) {
            return UInt64(Substring(line.dropFirst("oom_kill ".utf8.count)))
        }
        return nil
    }
}
