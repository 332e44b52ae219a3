// Telling the children which slots are filled again.

import PreforkSystem

/// What the children were told last.
struct ToldPromises {
    /// By task ID.
    var workers: [Bool] = []
    /// No process with a higher spawn was made until then.
    var lastSpawn: UInt64 = 0
    var hasBegun = false
}

extension Supervisor {
    /// To be called after each decision of the pool and before it is carried out: a process that is asked to end for good
    /// must not leave peers that wait for its successor, and a death that the pool has heard of must not either.
    func tellPromises() {
        // Until the workers of the previous image are known, its promises hold.
        if inheritance != nil { return }
        let workers = pool.slots.indices.map(pool.isFollowed)
        defer { promised.lastSpawn = pool.lastSpawn }
        if promised.hasBegun, promised.workers == workers { return }
        // Managed processes that were started before this supervisor was made know the other table only.
        let tables = [scoreboard.orders.promisesForWriting, targets?.scoreboard.orders.promisesForWriting].compactMap { $0 }
        var followed: Set<UInt64> = []
        for taskID in 0..<max(promised.workers.count, workers.count) {
            let isFollowed = workers.indices.contains(taskID) && workers[taskID]
            let wasFollowed = promised.workers.indices.contains(taskID) && promised.workers[taskID]
            guard isFollowed != wasFollowed else { continue }
            let slot = ProcessSlot.identity(ofWorker: taskID, of: pid)
            if isFollowed { followed.insert(slot) }
            for table in tables {
                if isFollowed {
                    table.make(slot, from: promised.lastSpawn + 1, isWorker: true)
                } else {
                    table.end(slot)
                }
            }
        }
        if !promised.hasBegun {
            for table in tables { table.endAll(except: followed, areWorkers: true) }
            promised.hasBegun = true
        }
        promised.workers = workers
    }
}

extension TargetRunner {
    /// The same for managed processes.
    func tellPromises() {
        let orders = scoreboard.orders.promisesForWriting
        var names: Set<String> = []
        for target in table.inOrder where table.isFollowed(target) {
            names.insert(target.name)
            if promisedNames.contains(target.name) { continue }
            let slot = ProcessSlot.identity(ofProcess: target.name, of: pid)
            orders.make(slot, from: promisedSpawn + 1, isWorker: false)
        }
        for name in promisedNames.subtracting(names) { orders.end(ProcessSlot.identity(ofProcess: name, of: pid)) }
        promisedNames = names
        promisedSpawn = table.spawns
        // Until all targets that must run are started, the promises of the previous image hold.
        if hasForeignPromises, table.succession.hasBegun {
            hasForeignPromises = false
            let kept = Set(names.map { ProcessSlot.identity(ofProcess: $0, of: pid) })
            orders.endAll(except: kept, areWorkers: false)
        }
    }
}
