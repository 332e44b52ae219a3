// Locks of a store that name a process which does not have them.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem
import Synchronization

/// A child writes the first process's name into every lock of the store but the publish log's, and ends.
func namedOwnerScenario(_ arguments: [String]) throws {
    let store = try SharedStore(lockTimeout: .milliseconds(20))
    let stripes = store.stripes
    let owner = LockOwner.current
    let damager = try child {
        for stripe in stripes { stripe.word.pointee.store(owner.word, ordering: .relaxed) }
    }
    waitForEnd(damager)
    let keys = (0..<200).map { "key \($0)" }
    let sibling = try child { say("another process: \(outcomes(of: keys.prefix(1), in: store))") }
    waitForEnd(sibling)
    say("the named one: \(outcomes(of: keys.prefix(1), in: store))")
    say("its next try: \(outcomes(of: keys.prefix(1), in: store))")
    // The stripes that it does not come to: as a worker does with each sign of life.
    StoreRegistry.disownAll()
    let later = try child { say("another process, later: \(outcomes(of: keys[...], in: store))") }
    waitForEnd(later)
    say("damages in each stripe \(store.stats.damages == stripes.count) contradictions \(try store.table.contradictions())")
}

private func outcomes(of keys: ArraySlice<String>, in store: SharedStore) -> String {
    var counts: [String: Int] = [:]
    for key in keys {
        var outcome = "written"
        do { try store.set(key, 1) } catch {
            if case .corrupt = error.code { outcome = "corrupt" } else { outcome = "\(error.code)" }
        }
        counts[outcome, default: 0] += 1
    }
    return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
}

extension SharedStore {
    /// The locks of its stripes.
    fileprivate var stripes: [SharedLock] { (0..<table.layout.stripes).map { table.sharedLock($0) } }
}
