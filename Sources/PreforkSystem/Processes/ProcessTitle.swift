// The title of this process in ps(1) and top(1).

import CPrefork

/// Sets what /proc/pid/cmdline and /proc/pid/comm show.
///
/// The memory that held the arguments at the start is overwritten (proc(5)), with up to 512 bytes of the environment
/// behind it. These bytes move to the heap first, and /proc/pid/environ loses them. If the kernel does not report where
/// that memory is, or does not allow writing to it, titles change nothing. Nothing here can crash the process, because
/// the kernel tests the memory first. Code that kept a pointer into argv or a value of getenv(3) from before the first
/// title sees titles there. `CommandLine.arguments` is read before.
///
/// One thread at a time. A forked child starts with its parent's title. A title costs a copy of its bytes, a name one
/// system call.
package enum ProcessTitle {
    /// Finds the room for titles, in bytes. Without room it returns 0. The first `set` does it, too. Calling this
    /// before a fork does it once for all children.
    @discardableResult
    package static func prepare() -> Int { prepared }

    private static let prepared: Int = {
        // Swift reads the arguments from /proc/self/cmdline at their first use, which must be now, before a title
        // overwrites them.
        _ = CommandLine.arguments.count
        guard let area = try? area(SmallFile.read("/proc/self/stat", limit: 4096)) else { return 0 }
        return cprefork_prepare_title(area.argStart, area.argEnd, area.envStart, area.envEnd)
    }()

    /// - Parameters:
    ///   - title: the whole command line, such as `prefork: worker 3 g2 ready [shop]`. What does not fit is cut off
    ///     at a character boundary, and a NUL ends the title.
    ///   - name: the thread's short name, 15 bytes, which pgrep(1) and top(1) show. If nil, the name stays.
    /// - Returns: false when this process has no room for titles.
    @discardableResult
    package static func set(_ title: String, name: String? = nil) -> Bool {
        let room = prepared
        var title = title
        title.withUTF8 { utf8 in
            // For no bytes any address does.
            cprefork_set_title(utf8.baseAddress ?? UnsafePointer(bitPattern: 1)!, utf8.count)
        }
        if let name { _ = cprefork_set_thread_name(name) }
        return room > 0
    }

    struct Area: Equatable {
        var argStart, argEnd, envStart, envEnd: UInt
    }

    /// Fields 48 to 51 of /proc/pid/stat (proc(5), Linux 3.5).
    static func area(_ stat: String) -> Area? {
        guard let stat = ProcessStat(stat) else { return nil }
        let numbers = (48...51).compactMap { stat.number($0).map { UInt($0) } }
        guard numbers.count == 4, numbers[0] != 0, numbers[1] > numbers[0] else { return nil }
        return Area(argStart: numbers[0], argEnd: numbers[1], envStart: numbers[2], envEnd: numbers[3])
    }
}
