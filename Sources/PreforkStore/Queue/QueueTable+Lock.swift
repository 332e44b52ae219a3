// The lock of a queue: taking it, and waking sleepers before it is released.

package import PreforkSystem

extension QueueTable {
    /// What a call may wait for the lock, all its turns together.
    package static var patience: LockPatience { LockPatience(limit: longestWait) }

    /// Takes the lock, and repairs what a dead owner or damage has left. Every path from here must end in `release`.
    @inline(__always)
    func acquire(_ patience: inout LockPatience) throws(Failure) {
        let isClean = lock.tryLock()
        if isClean, self[.isUnsettled] == 0 { return }
        try acquireSlowly(isHeld: isClean, &patience)
    }

    @inline(never)
    private func acquireSlowly(isHeld: Bool, _ patience: inout LockPatience) throws(Failure) {
        var acquisition = SharedLock.Acquisition.clean
        if !isHeld {
            do throws(SharedLock.Failure) {
                acquisition = try lock.shared.lock(&patience)
            } catch {
                throw error == .busy ? .busy : .corrupt("the lock")
            }
        }
        guard acquisition == .mustRepair || self[.isUnsettled] != 0 else { return }
        do throws(Failure) {
            try recover(afterDeath: acquisition == .mustRepair)
        } catch {
            release()
            throw error
        }
    }

    func release() {
        // Where another process wrote over the lock, the next owner repairs the queue.
        _ = lock.unlock()
    }

    /// Wakes the sleeping receivers. Under the lock, and before the commit that they are woken for.
    ///
    /// Rings before the commit, because a sender that is killed between commit and bell would leave a message while
    /// receivers sleep. Woken too early, they wait for the lock, and get it after the commit or with the notice of the
    /// death. The flag falls after the bell has rung, for the same reason. Sleepers raise it under the lock, too, so
    /// neither a fence nor a second check is needed.
    func wakeReceivers() {
        guard self[.receiversSleep] != 0 else { return }
        receiversBell.ring()
        self[.receiversSleep] = 0
    }

    func wakeSenders() {
        guard self[.sendersSleep] != 0 else { return }
        sendersBell.ring()
        self[.sendersSleep] = 0
    }
}
