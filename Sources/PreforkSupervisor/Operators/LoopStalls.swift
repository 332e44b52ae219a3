// Event loops that stand still: one job keeps all other work of a worker waiting.

import PreforkSystem

/// Decides which loops stand still, and when to look again. Without side effects.
///
/// The supervisor looks once in each `limit` while loops turn, and at the moment when the present turn of one becomes too
/// long. After two looks without a turn it sleeps until a worker's first turn wakes it (`LoopMark`): an idle pool costs
/// no look at all.
struct LoopStalls {
    /// What a worker has on its line.
    struct Reading {
        var spawn: UInt64
        /// See `LoopMark`. It may hold anything.
        var word: UInt64
        /// The worker has announced that it gives no heartbeat until then.
        var extendedUntil: MonotonicInstant?
    }

    enum News: Equatable {
        case stalled(UInt64, for: Duration)
        case turnsAgain(UInt64, after: Duration)
    }

    private struct Loop {
        var word: UInt64
        /// No turn counts from before this.
        var watchedSince: MonotonicInstant
        /// If nil, it does not stand still as far as was told.
        var stalledSince: MonotonicInstant?
    }

    let limit: Duration
    private var loops: [UInt64: Loop] = [:]
    /// If nil, the supervisor sleeps until it is woken.
    private(set) var nextLook: MonotonicInstant?
    private var quietLooks = 2

    init(limit: Duration) { self.limit = limit }

    /// Whether workers must wake the supervisor when they begin a turn. One look before it sleeps, so that a turn which
    /// begins in between is seen.
    var asksForWakeUp: Bool { quietLooks > 0 }

    /// The spawns of the loops that stand still.
    var stalled: Set<UInt64> { Set(loops.filter { $0.value.stalledSince != nil }.keys) }

    /// A worker has begun a turn, or is new.
    mutating func wake(at now: MonotonicInstant) {
        quietLooks = 0
        if nextLook == nil { nextLook = now + limit }
    }

    /// - Parameter readings: of all workers that are ready. What is not among them is forgotten.
    mutating func look(_ readings: [Reading], at now: MonotonicInstant) -> [News] {
        // A supervisor that stood still itself says nothing about its workers: the machine may have.
        let forgives = nextLook.map { now - $0 > max(.seconds(1), limit) } ?? false
        var news: [News] = []
        var next = now + limit
        var isQuiet = true
        var loops: [UInt64: Loop] = [:]
        for reading in readings {
            var loop = self.loops[reading.spawn] ?? Loop(word: reading.word, watchedSince: now)
            if forgives { loop.watchedSince = now }
            if let since = loop.stalledSince, loop.word != reading.word {
                loop.stalledSince = nil
                news.append(.turnsAgain(reading.spawn, after: now - since))
            }
            isQuiet = isQuiet && loop.word == reading.word && loop.stalledSince == nil
            loop.word = reading.word
            if let turn = LoopMark.turn(in: reading.word) {
                isQuiet = false
                // A turn of the future is one that the worker has made up.
                let begin = max(min(turn, now), loop.watchedSince, min(reading.extendedUntil ?? turn, now))
                if loop.stalledSince == nil, now - begin >= limit {
                    loop.stalledSince = begin
                    news.append(.stalled(reading.spawn, for: now - begin))
                } else if loop.stalledSince == nil {
                    next = min(next, begin + limit)
                }
            }
            loops[reading.spawn] = loop
        }
        self.loops = loops
        quietLooks = isQuiet ? quietLooks + 1 : 0
        nextLook = quietLooks < 2 ? next : nil
        return news
    }
}

extension Supervisor {
    /// A worker has rung or has become ready.
    func wakeLoopWatch() {
        guard loopStalls != nil else { return }
        loopStalls?.wake(at: .now)
        askForWakeUps()
    }

    /// Looks at the loops of all workers, if it is time.
    func watchLoops() {
        guard let due = loopStalls?.nextLook, due <= .now else { return }
        let now = MonotonicInstant.now
        let readings = pool.slots.compactMap { slot -> LoopStalls.Reading? in
            guard slot.isReady, let worker = slot.worker, let entry = workers[worker.spawn]
            else { return nil }
            return LoopStalls.Reading(
                spawn: worker.spawn, word: scoreboard.turn(line: entry.line),
                extendedUntil: scoreboard.extendedUntil(line: entry.line))
        }
        let news = loopStalls?.look(readings, at: now) ?? []
        askForWakeUps()
        for event in news { tell(event) }
        // Another worker takes the queue of one that stands still, until it turns again.
        if !news.isEmpty { queues.isDue = true }
    }

    private func askForWakeUps() {
        if let loopStalls { scoreboard.orders.watchLoops(untilFirstTurn: loopStalls.asksForWakeUp) }
    }

    private func tell(_ news: LoopStalls.News) {
        switch news {
        case .stalled(let spawn, let duration):
            guard let entry = workers[spawn] else { return }
            records.counters.loopStalls &+= 1
            let text = "worker \(entry.slot) (pid \(entry.child.pid)): its event loop stands still, for \(duration.short) so far"
            logger.say(LogLine(.warning, text), by: .worker(entry.slot, .stall))
            dumpStack(of: spawn, forStall: true)
        case .turnsAgain(let spawn, let duration):
            guard let entry = workers[spawn] else { return }
            let text = "worker \(entry.slot) (pid \(entry.child.pid)): its event loop turns again, after \(duration.short)"
            logger.say(LogLine(.info, text), by: .worker(entry.slot, .stallEnd))
        }
    }
}
