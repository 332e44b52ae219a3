// The lock of a queue: taking it, and waking those who sleep before it is given back.

import PreforkSystem

extension QueueTable {
    /// Takes the lock. Every path from here must come to `release`.
    func acquire() throws(Failure) {
        var acquisition = spin()
        if acquisition == nil {
            do throws(SystemError) {
                acquisition = try lock.lock(timeout: Self.patience)
            } catch {
                throw error.errno == .timedOut || error.errno == .wouldBlock || error.errno.name == "EBUSY"
                    ? .busy : .corrupt("the lock")
            }
        }
        guard acquisition == .ownerDied || self[.isUnsettled] != 0 else { return }
        do throws(Failure) {
            try recover(afterDeath: acquisition == .ownerDied)
        } catch {
            release()
            throw error
        }
    }

    /// A few tries before the kernel is asked: the lock is held for tenths of a microsecond, a futex costs several.
    private func spin() -> RobustLock.Acquisition? {
        for _ in 0..<64 {
            if let acquisition = try? lock.lock(timeout: 0) { return acquisition }
        }
        return nil
    }

    func release() {
        lock.unlock()
    }

    func declareRecovered() {
        lock.declareRecovered()
    }

    /// Wakes the sleeping receivers. Under the lock, and before the commit that they are woken for.
    ///
    /// Before, because a sender that is killed between commit and bell would leave a message beside sleepers. Woken too
    /// early, they wait for the lock, and get it after the commit or with the news of the death. The flag falls after
    /// the bell has rung, for the same reason. Sleepers raise it under the lock, too: no fence, no second look.
    func wakeReceivers() {
        guard self[.receiversSleep] != 0 else { return }
        receiversBell.signal()
        self[.receiversSleep] = 0
    }

    func wakeSenders() {
        guard self[.sendersSleep] != 0 else { return }
        sendersBell.signal()
        self[.sendersSleep] = 0
    }
}
