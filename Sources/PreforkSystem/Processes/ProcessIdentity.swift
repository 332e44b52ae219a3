// Identifies a process permanently: a process ID alone is used again.

import CPrefork
import Glibc

/// A process by its ID and the time of its start. Two words that can be written into shared memory, and that show
/// whether the process of back then still lives.
package struct ProcessIdentity: Hashable, Sendable {
    package var pid: Int32
    /// Clock ticks after boot (field 22 of /proc/pid/stat, proc(5)), or 0 if it cannot be read.
    package var startTime: UInt64

    package init(pid: Int32, startTime: UInt64) {
        self.pid = pid
        self.startTime = startTime
    }

    /// The identity of the process with this ID, or nil if there is no such process.
    package init?(of pid: Int32) {
        guard pid > 0 else { return nil }
        self.init(pid: pid, startTime: Self.startTime(of: pid) ?? 0)
        if !exists { return nil }
    }

    /// This process.
    package static var current: ProcessIdentity {
        let pid = getpid()
        return ProcessIdentity(pid: pid, startTime: startTime(of: pid) ?? 0)
    }

    /// Whether that very process lives. A zombie does not, nor does one that has crashed (`CrashedProcesses`): they
    /// will never do anything again.
    ///
    /// When /proc does not answer, because no descriptor is left or it is not mounted, a process of this number is
    /// taken for the one: to take a living process for dead would give its messages and its place to another.
    package var isAlive: Bool {
        if CrashedProcesses.contains(pid) { return false }
        do throws(SystemError) {
            guard let fields = Self.fields(try SmallFile.read("/proc/\(pid)/stat", limit: 1024)) else { return exists }
            if fields.state == "Z" || fields.state == "X" { return false }
            return startTime == 0 || fields.startTime == startTime
        } catch {
            // ESRCH: it ended between open(2) and read(2).
            return error.errno == .noProcess ? false : exists
        }
    }

    private var exists: Bool { kill(pid, 0) == 0 || Errno.current == .notPermitted }

    /// Opens a pidfd on that very process (pidfd_open(2)): readable when it has ended.
    ///
    /// - Returns: nil when it is gone.
    /// - Throws: ENOSYS or EPERM where there are no pidfds, EMFILE when no descriptor is left.
    package func openPidfd() throws(SystemError) -> Descriptor? {
        do throws(SystemError) {
            let number = try systemCall("pidfd_open", on: "process \(pid)") { cprefork_pidfd_open(pid) }
            let descriptor = Descriptor(owning: number)
            // Checked after the pidfd holds the number, which now cannot be given to another process.
            if isAlive { return descriptor }
            return nil
        } catch {
            if error.errno == .noProcess { return nil }
            throw error
        }
    }

    private static func startTime(of pid: Int32) -> UInt64? {
        (try? SmallFile.read("/proc/\(pid)/stat", limit: 1024)).flatMap(fields)?.startTime
    }

    /// State and start time, fields 3 and 22.
    static func fields(_ stat: String) -> (state: Substring, startTime: UInt64)? {
        guard let stat = ProcessStat(stat), let state = stat[3], let startTime = stat.number(22) else { return nil }
        return (state, startTime)
    }
}
