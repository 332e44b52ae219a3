// Workers that go because they have had their share.

import PreforkSystem

extension Pool {
    var recyclingInHand: Int {
        slots.count { if case .recycling = $0.replacement?.cause { true } else { false } }
    }

    /// Begins with as many as may go now, those with the lowest task IDs first. Not during a reload, which replaces
    /// all.
    mutating func startRecycling() {
        guard !settings.recycling.isOff, phase == .running, reload == nil else { return }
        var begun = false
        var inHand = recyclingInHand
        for index in slots.indices where inHand < settings.recycling.atOnce {
            guard slots[index].isReady, slots[index].replacement == nil, let worker = slots[index].worker,
                var life = lives[worker.spawn], life.postponedTo ?? now <= now
            else { continue }
            if life.isDue == nil, let end = life.end, end <= now { life.isDue = .lifetime }
            guard let reason = life.isDue else { continue }
            // A worker counts its requests itself and takes what memory it likes: a worker that reaches a limit as soon
            // as it serves would be forked anew without end.
            if reason != .lifetime { life.postponedTo = slots[index].record.recyclingPace.admitAtOnce(now) }
            lives[worker.spawn] = life
            if let postponed = life.postponedTo, postponed > now { continue }
            slots[index].replace(for: .recycling(reason), generation: worker.generation, at: now)
            actions.append(.report(.recycling(taskID: index, pid: worker.pid, reason)))
            inHand += 1
            begun = true
        }
        if begun { tick() }
    }

    /// After a replacement failed: the old worker serves on, and the next try waits.
    mutating func postponeRecycling(_ index: Int) {
        guard let worker = slots[index].worker else { return }
        let delay = slots[index].record.nextForkDelay(settings.restarts.backoff, using: &random)
        lives[worker.spawn]?.postponedTo = now + delay
    }
}
