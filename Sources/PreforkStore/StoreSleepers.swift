// How those who wait for news of a store sleep, and how they are woken.

import PreforkSystem
import Synchronization

/// Watchers of keys and subscribers of channels wait for one bell that all processes share. Each says by a bit of
/// the word `sleepers` what it waits for; who changes something that has that bit set clears the word and rings
/// once, which wakes everybody, and those who were not meant go back to sleep.
///
/// There is no table of subscribers: nobody has to be registered, and one that was killed leaves a bit, which costs the
/// next publisher one write. Nobody asleep: no system call.
extension StoreTable {
    /// What a key's watchers and a channel's subscribers wait for.
    package func sleeperBit(_ name: [UInt8]) -> UInt64 {
        name.withUnsafeBytes { hash($0).sleeperBit }
    }

    /// Says that somebody is about to wait. The caller looks once more for news afterwards, then sleeps: the other side
    /// changes first and looks for sleepers then, so that one of the two sees the other.
    package func prepareToSleep(_ bits: UInt64) {
        memory.word(Header.sleepers).pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent)
    }

    /// Wakes those who watch a key. After its change was published and the stripe's lock given back.
    @inline(__always)
    func wakeWatchers(_ hash: KeyHash) {
        // On x86 the unlocking exchange is a full barrier between the change and this look; elsewhere it is not.
        #if !arch(x86_64)
            atomicMemoryFence(ordering: .sequentiallyConsistent)
        #endif
        if memory[Header.sleepers] & hash.sleeperBit != 0 { wakeAllSleepers() }
    }

    package func wakeAllSleepers() {
        memory.word(Header.sleepers).pointee.store(0, ordering: .sequentiallyConsistent)
        bell.ring()
    }
}
