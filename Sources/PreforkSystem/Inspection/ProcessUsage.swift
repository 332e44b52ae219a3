// Memory and processor time of a living process, read from /proc.

import CPrefork
import Glibc

/// Memory and processor time of a process that runs.
package struct ProcessUsage: Hashable, Sendable {
    /// Resident bytes, shared ones included.
    package var resident: Int
    /// User and system time of all its threads.
    package var processorTime: Duration

    package init(resident: Int, processorTime: Duration) {
        self.resident = resident
        self.processorTime = processorTime
    }
}

/// Reads `ProcessUsage`, many processes in a row: one buffer, three system calls for each file.
package struct ProcessUsageReader: Sendable {
    private var buffer = [UInt8](repeating: 0, count: 4096)
    private let pageSize = sysconf(Int32(_SC_PAGESIZE))
    private let nanosecondsPerTick = 1_000_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    package init() {}

    /// What a process uses now, or nil if it does not exist or /proc does not show it.
    ///
    /// /proc/pid/stat takes no lock that the process could keep.
    package mutating func usage(of pid: Int32) -> ProcessUsage? {
        // Both figures are in stat, so statm, which has the same resident size, is not opened.
        guard let stat = contents(of: "/proc/\(pid)/stat"), let usage = parseStat(stat) else { return nil }
        return usage
    }

    /// What of a process's memory is its own. The kernel walks the whole address space for it, which takes as long as
    /// hundreds of the other figures. It holds the lock of that address space, so a process can make the reader wait. For
    /// tools, never in a supervisor.
    package mutating func memory(of pid: Int32) -> ProcessMemory? {
        contents(of: "/proc/\(pid)/smaps_rollup").flatMap(ProcessMemory.init(rollup:))
    }

    private mutating func contents(of path: String) -> ArraySlice<UInt8>? {
        guard let number = try? systemCall("open", on: path, { cprefork_open(path, O_RDONLY | O_CLOEXEC, 0) }) else {
            return nil
        }
        defer { closeDescriptor(number) }
        guard let count = try? systemCall("read", on: path, { read(number, &buffer, buffer.count) }) else { return nil }
        return buffer[..<count]
    }

    /// proc(5): the command's name, field 2, is in parentheses and may hold any byte. Fields 14, 15 and 24 are the ones
    /// used here.
    private func parseStat(_ stat: ArraySlice<UInt8>) -> ProcessUsage? {
        guard let name = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        var field = 2
        var number: Int64 = 0
        var ticks: Int64 = 0
        for byte in stat[(name + 1)...] {
            switch byte {
            case UInt8(ascii: " "):
                if field == 14 || field == 15 { ticks &+= number }
                if field == 24 {
                    return ProcessUsage(
                        resident: Int(number) &* pageSize, processorTime: .nanoseconds(ticks &* nanosecondsPerTick))
                }
                field += 1
                number = 0
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                number = number &* 10 &+ Int64(byte - UInt8(ascii: "0"))
            default:
                break
            }
        }
        return nil
    }
}
