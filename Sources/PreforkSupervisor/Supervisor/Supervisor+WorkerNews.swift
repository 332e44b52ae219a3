// News from workers: they write on their lines and ring.

import PreforkSystem

extension Supervisor {
    func hear(_ spawn: UInt64) {
        bells.rang(spawn, by: epoll, at: .now)
        wakeLoopWatch()
        readNews(of: spawn)
    }

    /// Reads what a worker has left on its line: readiness, and orders for managed processes.
    private func readNews(of spawn: UInt64) {
        if SpareTable.isKey(spawn) { return hearSpare(spawn) }
        guard let entry = workers[spawn] else { return }
        takeControls(of: spawn, line: entry.line)
        takeDump(of: spawn)
        takeRunAnswer(of: spawn, line: entry.line)
        if bells[spawn]?.hasCrashed == true { return noteCrash(of: spawn) }
        guard isNewlyReady(spawn, slot: entry.slot, line: entry.line) else { return }
        scoreboard.orders.noteReady(line: entry.line)
        handle(.ready(slot: entry.slot, spawn: spawn))
    }

    func isNewlyReady(_ spawn: UInt64, slot: Int, line: Int) -> Bool {
        scoreboard.readySpawn(line: line) == spawn && pool.slots.indices.contains(slot)
            && pool.slots[slot].bootingWorkers.contains { $0.spawn == spawn }
    }

    func takeControls(of spawn: UInt64, line: Int) {
        var strays = 0
        for word in bells.takeControls(of: spawn, from: scoreboard.controls(line: line))
        where !ManagedOrderRoute.deliver(word) {
            strays += 1
        }
        guard strays > 0, let slot = workers[spawn]?.slot else { return }
        let text = "\(strays) words on the control line of worker \(slot) are no codes, or for no manager: ignored"
        logger.say(LogLine(.warning, text), by: .worker(slot, .strayCode))
    }

    /// Checks the workers whose doorbells are ignored for now, or which have no doorbell.
    func readNewsWithoutRing() {
        guard let next = bells.nextLook, next <= .now else { return }
        for spawn in bells.due(at: .now, by: epoll) { readNews(of: spawn) }
    }
}
