// The memory that this process's control groups allow, for shared memory that must fit.

import CPrefork
import Glibc

/// The tightest memory limit of the control groups of this process and their ancestors.
///
/// The kernel answers a page beyond the limit by its out-of-memory killer and not by an error (kernel documentation,
/// cgroup-v2). No process can be made to give pages of shared memory back, so the kernel continues to kill until the
/// supervisor is among the dead.
package struct MemoryLimit: Equatable, Sendable {
    /// The directory of the group, below /sys/fs/cgroup.
    package let group: String
    /// In bytes.
    package let bytes: UInt64
    /// What the group has in use and cannot give back: without the page cache.
    package let used: UInt64

    /// What is still available.
    package var room: UInt64 { bytes > used ? bytes - used : 0 }

    /// If nil, there is no limit.
    package static var current: MemoryLimit? { ControlGroup.current.memoryLimit }
}

extension ControlGroup {
    var memoryLimit: MemoryLimit? {
        // Of several groups with a limit the one with the least room: a parent's limit is for all of its children.
        (unifiedLimits + separateLimits).min { ($0.room, $0.bytes) < ($1.room, $1.bytes) }
    }

    /// Version 2: `max`, or bytes.
    private var unifiedLimits: [MemoryLimit] {
        (unified?.lineage ?? []).compactMap { directory in
            guard let bytes = number("\(directory)/memory.max") else { return nil }
            let cache = statistics("\(directory)/memory.stat", ["inactive_file", "active_file"])
            return limit(directory, bytes, charged: number("\(directory)/memory.current"), cache: cache)
        }
    }

    /// Version 1: no limit is the greatest number of pages (PAGE_COUNTER_MAX), near 2^63.
    private var separateLimits: [MemoryLimit] {
        (controllers["memory"]?.lineage ?? []).compactMap { directory in
            guard let bytes = number("\(directory)/memory.limit_in_bytes"), bytes < 1 << 62 else { return nil }
            let names = ["total_inactive_file", "total_active_file"]
            let cache = statistics("\(directory)/memory.stat", names)
            return limit(directory, bytes, charged: number("\(directory)/memory.usage_in_bytes"), cache: cache)
        }
    }

    private func limit(_ group: String, _ bytes: UInt64, charged: UInt64?, cache: UInt64) -> MemoryLimit {
        let charged = charged ?? 0
        return MemoryLimit(group: group, bytes: bytes, used: charged > cache ? charged - cache : 0)
    }

    private func number(_ path: String) -> UInt64? {
        readFile(path).flatMap { UInt64($0.filter { !$0.isWhitespace }) }
    }

    /// The sum of lines `NAME BYTES`.
    private func statistics(_ path: String, _ names: [String]) -> UInt64 {
        var sum: UInt64 = 0
        for line in (readFile(path) ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count == 2, names.contains(String(fields[0])), let value = UInt64(fields[1]) else { continue }
            sum = sum.addingReportingOverflow(value).partialValue
        }
        return sum
    }
}

extension MemoryFile {
    /// What is larger is reserved where the control group has a limit.
    package static let largeByteCount = 64 << 20

    /// Has the kernel give all of its pages now (fallocate(2)): what the control group lets this process have then is
    /// not refused later, when its page is touched, by a kill. Where the call is refused, pages come when they are
    /// touched.
    package func reserve(byteCount: Int) throws(SystemError) {
        let number = descriptor.number
        do throws(SystemError) {
            try systemCall("fallocate", on: "\(byteCount) bytes of descriptor \(number)") {
                cprefork_reserve(number, Int64(byteCount))
            }
        } catch where [.noSystemCall, .notPermitted, .notSupported].contains(error.errno) {}
    }
}
