// Children that this process did not start: orphans that it adopted as PID 1 or as a subreaper.

import CPrefork
import Glibc

package enum AdoptedOrphans {
    /// Whether this process adopts orphans: it is PID 1 of its namespace, or has called `becomeSubreaper`.
    package static var areAdopted: Bool { getpid() == 1 || cprefork_child_subreaper() == 1 }

    /// Makes this process the new parent of its descendants' orphans (PR_SET_CHILD_SUBREAPER, Linux 3.4). Forked
    /// children do not inherit it.
    package static func becomeSubreaper(_ on: Bool = true) throws(SystemError) {
        try systemCall("prctl", on: "PR_SET_CHILD_SUBREAPER") { cprefork_set_child_subreaper(on ? 1 : 0) }
    }

    /// Collects children that have ended and are not in `known`. The status of a known child is left for the code that
    /// started it (gunicorn #1584, #3220). The strangers' exit codes are ignored.
    ///
    /// A child that the program's own code has started and waits for later must be known, too, because the kernel does
    /// not distinguish it from an orphan.
    ///
    /// - Parameters:
    ///   - endsFamilies: kills the process group of each that was killed and led one, but no session, before its number
    ///     is free. The kernel kills a program with the worker that has started it, but not what the program has
    ///     started itself.
    ///   - user: collects only those whose real user ID this is; nil: whosever they are.
    ///   - limit: a process that forks without end does not keep the caller here.
    /// - Returns: their process IDs, which may be used again from now on; as many as `limit`: there may be more.
    package static func reap(
        except known: Set<Int32>, endsFamilies: Bool = false, ofUser user: UInt32? = nil, atMost limit: Int
    ) -> [Int32] {
        var reaped: [Int32] = []
        var owner: uid_t = 0
        // waitid(P_ALL, WNOWAIT) always shows the same first one. As long as that is a stranger, it is the short way.
        while reaped.count < limit, case let pid = cprefork_peek_ended_child(0, &owner), pid > 0 {
            let isOurs = !known.contains(pid) && (user == nil || owner == user)
            guard isOurs, collect(pid, endsFamilies) else {
                return reaped + reapBehind(known, endsFamilies, ofUser: user, atMost: limit - reaped.count)
            }
            reaped.append(pid)
        }
        return reaped
    }

    /// One that is not ours to collect stands in front of the others: each other child is asked by its number, which is
    /// safe, because only this process collects it.
    private static func reapBehind(
        _ known: Set<Int32>, _ endsFamilies: Bool, ofUser user: UInt32?, atMost limit: Int
    ) -> [Int32] {
        var reaped: [Int32] = []
        for pid in children(except: known) {
            if reaped.count == limit { break }
            var owner: uid_t = 0
            if let user, cprefork_peek_ended_child(pid, &owner) != pid || owner != user { continue }
            if collect(pid, endsFamilies) { reaped.append(pid) }
        }
        return reaped
    }

    private static func collect(_ pid: Int32, _ endsFamilies: Bool) -> Bool {
        if endsFamilies { cprefork_end_group_of_killed_child(pid) }
        return cprefork_collect_child(pid) == pid
    }

    /// The children of this process that are not known, ended or not (CONFIG_PROC_CHILDREN, Linux 4.2).
    package static func children(except known: Set<Int32>) -> [Int32] {
        var found: [Int32] = []
        for thread in DirectoryListing.names("/proc/self/task") {
            let text = (try? SmallFile.read("/proc/self/task/\(thread)/children")) ?? ""
            found += text.split(separator: " ").compactMap { Int32($0) }
        }
        return found.filter { !known.contains($0) }
    }

    /// Sends a signal to every stranger that lives: a container's end is theirs, too, and the kernel would kill them
    /// with PID 1 without a word.
    ///
    /// A child's number cannot be used again before this process collects it, so that no pidfd is needed.
    ///
    /// - Returns: how many got it.
    @discardableResult
    package static func send(_ signal: Signal, except known: Set<Int32>) -> Int {
        children(except: known).count { kill($0, signal.rawValue) == 0 }
    }
}
