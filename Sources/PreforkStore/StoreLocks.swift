// The lock of a stripe: who has it may change the stripe's part of the store.

import PreforkSystem

extension StoreTable {
    @inline(__always)
    private func robustLock(_ stripe: Int) -> RobustLock {
        RobustLock(at: memory.base + stripeOffset(stripe))
    }

    /// Takes a stripe's lock and puts in order what a dead owner has left.
    ///
    /// - Parameter timeout: nanoseconds, 0 only tries; nil: as the store was told.
    /// - Throws: `.busy` when it is held so long, which only a stopped process does; nobody steals it from that one,
    ///   who would go on where it was (Swoole's tables do, after two seconds).
    @inline(__always)
    func lock(_ stripe: Int, timeout: Int64? = nil) throws(StoreError) {
        do throws(SystemError) {
            switch try robustLock(stripe).lock(timeout: timeout ?? lockTimeout) {
            case .clean: break
            case .ownerDied: noteDeath(stripe)
            }
        } catch {
            if error.errno == .timedOut || error.errno == .busy { throw StoreError(.busy) }
            throw StoreError(error)
        }
        guard memory[stripeOffset(stripe) + Stripe.needsRecovery] != 0 else { return }
        do throws(StoreError) {
            try recover(stripe)
        } catch {
            unlock(stripe)
            throw error
        }
    }

    /// Takes a stripe's lock if it is free and in order.
    @inline(__always)
    func lockAtOnce(_ stripe: Int) -> Bool {
        switch robustLock(stripe).tryLock() {
        case nil: return false
        case .clean?: break
        case .ownerDied?: noteDeath(stripe)
        }
        if memory[stripeOffset(stripe) &+ Stripe.needsRecovery] == 0 { return true }
        unlock(stripe)
        return false
    }

    /// First the mark, then the lock's own: whoever dies in between leaves a lock whose owner died.
    @inline(never)
    private func noteDeath(_ stripe: Int) {
        memory[stripeOffset(stripe) + Stripe.needsRecovery] = 1
        robustLock(stripe).declareRecovered()
    }

    @inline(__always)
    func unlock(_ stripe: Int) {
        robustLock(stripe).unlock()
    }

    /// Repairs every stripe whose owner has died, without waiting for those that are in use.
    ///
    /// Repair is otherwise left to the next writer. For a supervisor, after a worker was killed: watchers of keys that
    /// the dead worker had just changed may not have been told, so all of them are woken.
    package func repair() {
        for stripe in 0..<layout.stripes where (try? lock(stripe, timeout: 0)) != nil { unlock(stripe) }
    }
}
