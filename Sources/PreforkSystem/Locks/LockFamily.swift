// The living processes that can own a lock, by what the kernel knows of the process in the lock's word.

import CPrefork
import Glibc

/// A supervisor and its descendants, which share the locks of its stores, queues and channels.
///
/// A compromised process can write the name of any living process into a lock's word, and others would wait for that
/// process as for an owner, even after the attacker has ended. Two kinds of processes cannot have the lock:
///
/// - The supervisor, while it has not made its word. It says so in memory that no child can write.
/// - A process that is not a descendant of the supervisor and that the caller may not signal, because it has another
///   user. Such a process can have a store only by adopting its descriptors: see `SharedStore.init(adopting:)`.
///
/// Of all others, siblings above all, a process cannot know whether they are inside.
package enum LockFamily {
    private struct Family {
        let supervisor: Int32
        /// Whether the supervisor has a word. Called in its descendants.
        let isOwner: () -> Bool
        /// Called in the supervisor, before it has one.
        let becomesOwner: () -> Void
    }

    /// Proof: the supervisor sets it while it is the only thread of its process, before the first fork and after the
    /// last child's end. Children read their own copy and never write it.
    nonisolated(unsafe) private static var family: Family?

    /// Makes this process the supervisor of those that it will fork. It has one thread and holds no lock.
    ///
    /// - Parameters:
    ///   - isOwner: what `becomesOwner` has noted, read in any descendant.
    ///   - becomesOwner: notes that this process may own locks from now on.
    package static func found(isOwner: @escaping () -> Bool, becomesOwner: @escaping () -> Void) {
        // What it did with stores before the fork is over. It has its word again with its next lock.
        cprefork_set_lock_token(0)
        family = Family(supervisor: getpid(), isOwner: isOwner, becomesOwner: becomesOwner)
    }

    /// The supervisor has no descendants any more.
    package static func end() { family = nil }

    static var isKnown: Bool { family != nil }

    /// This process makes its word as an owner.
    static func noteOwner() {
        if let family, family.supervisor == getpid() { family.becomesOwner() }
    }

    /// Whether a living process cannot own a lock that this one has from its supervisor. False where that is not known:
    /// in a process without a supervisor, and without /proc.
    static func excludes(_ pid: Int32) -> Bool {
        guard let family, family.supervisor != getpid() else { return false }
        if pid == family.supervisor { return !family.isOwner() }
        guard kill(pid, 0) != 0, Errno.current == .notPermitted else { return false }
        var ancestor = pid
        // A chain of parents is short. A longer one is not judged.
        for _ in 0..<64 {
            guard let stat = (try? SmallFile.read("/proc/\(ancestor)/stat", limit: 1024)).flatMap({ ProcessStat($0) }),
                let parent = stat.number(4)
            else { return false }
            if parent == UInt64(family.supervisor) { return false }
            if parent <= 1 { return true }
            ancestor = Int32(clamping: parent)
        }
        return false
    }
}
