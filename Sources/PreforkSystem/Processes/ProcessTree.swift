// A process with all of its descendants.

import Glibc

package enum ProcessTree {
    /// Sends `signal` to every descendant of `root`, found by /proc (CONFIG_PROC_CHILDREN, Linux 4.2), not to `root`
    /// itself. A descendant whose parent has ended belongs to init and is not found.
    ///
    /// Each is held by a pidfd and then checked to be its parent's child, so that no number that was used again is
    /// signalled. SIGKILL stops each process before its children are listed, so that it cannot fork a child unseen.
    ///
    /// - Parameter root: a child of this process that has not been reaped.
    package static func signalDescendants(of root: ChildProcess, _ signal: Signal) {
        var seen: Set<Int32> = [root.pid]
        if signal == .kill { try? root.send(.stop) }
        // Repeats until no new descendant is found, because a process may fork between two passes.
        for _ in 0..<16 {
            let before = seen.count
            visitChildren(of: root.pid, &seen, signal)
            if seen.count == before { return }
        }
    }

    private static func visitChildren(of parent: Int32, _ seen: inout Set<Int32>, _ signal: Signal) {
        for pid in children(of: parent) {
            if seen.contains(pid) {
                visitChildren(of: pid, &seen, signal)
                continue
            }
            guard let held = PidfdProcess(pid) else { continue }
            // The pidfd belongs to the process that had the number just now. Check that it still is the child of
            // `parent`.
            guard children(of: parent).contains(pid) else { continue }
            seen.insert(pid)
            if signal == .kill { held.send(SIGSTOP) }
            visitChildren(of: pid, &seen, signal)
            held.send(signal.rawValue)
        }
    }

    /// The children of all threads of a process.
    private static func children(of pid: Int32) -> [Int32] {
        var found: [Int32] = []
        for thread in DirectoryListing.names("/proc/\(pid)/task") {
            let text = (try? SmallFile.read("/proc/\(pid)/task/\(thread)/children")) ?? ""
            found += text.split(separator: " ").compactMap { Int32($0) }
        }
        return found
    }
}
