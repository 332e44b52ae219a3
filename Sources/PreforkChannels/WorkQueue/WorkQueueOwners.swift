// The ends of the other processes that receive from a queue, heard by a loop.

import PreforkEventLoop
import PreforkStore
import PreforkSystem

/// Watches every other receiver of a queue while a task of this loop waits for a message: if a receiver is killed, its
/// messages come back. On the loop's thread only.
///
/// Every waiting process watches, because a single watcher could itself be stopped. One descriptor for each receiving
/// process.
final class WorkQueueOwners {
    /// Called when messages have come back.
    var onReturn: (() -> Void)?
    private let table: QueueTable
    private weak var loop: EventLoop?
    private var watches: [QueueOwner.ID: ProcessWatch] = [:]
    private var seenVersion: UInt64?
    private var retry: ScheduledCall?

    /// How often to check processes that cannot be watched: no descriptor is left, or a filter forbids pidfds.
    private static let pause = Duration.milliseconds(250)

    init(of table: QueueTable, on loop: EventLoop) {
        self.table = table
        self.loop = loop
    }

    /// Brings the watches up to date, before a sleep.
    ///
    /// - Returns: true when messages of a dead process have come back meanwhile.
    func updateWatches() -> Bool {
        guard let loop else { return false }
        let version = table.ownersVersion
        if version == seenVersion { return false }
        seenVersion = version
        let owners = table.otherOwners()
        let present = Set(owners.map(\.id))
        for (id, watch) in watches where !present.contains(id) {
            watch.cancel()
            watches[id] = nil
        }
        var haveReturned = false
        for owner in owners where watches[owner.id] == nil {
            do {
                let watch = try ProcessWatch(of: owner.process, on: loop) { [weak self] in self?.died(owner) }
                if let watch {
                    watches[owner.id] = watch
                } else {
                    haveReturned = try table.reclaim(owner) > 0 || haveReturned
                }
            } catch {
                recheckLater()
            }
        }
        return haveReturned
    }

    func cancel() {
        for watch in watches.values { watch.cancel() }
        watches = [:]
        retry?.cancel()
        retry = nil
        onReturn = nil
    }

    private func died(_ owner: QueueOwner) {
        watches[owner.id] = nil
        do {
            if try table.reclaim(owner) > 0 { onReturn?() }
        } catch {
            recheckLater()
        }
    }

    /// The lock was busy, or there is no pidfd: the same again in a moment.
    private func recheckLater() {
        seenVersion = nil
        guard retry == nil, let loop else { return }
        retry = loop.call(after: Self.pause) { [weak self] in
            guard let self else { return }
            retry = nil
            // Its bell and this call wake the same line. The first of them serves it.
            _ = try? table.reclaim(onlyBusy: true)
            onReturn?()
        }
    }
}
