// The way back of an upgrade, from the supervisor's side: what the program before gets, and when it comes.

import PreforkSystem

/// The way back with what the supervisor's part of it takes.
struct SupervisorWayBack {
    private let back: WayBack
    /// The supervisor's own four descriptors, duplicated by the program before.
    private let own: [Int32]
    /// Of which new workers of this program are, at least: those of the program before are of an earlier one.
    private let generation: Int
    /// Of each worker its doorbell and what reads its output, duplicated.
    private var duplicates: [UInt64: Duplicates] = [:]

    private struct Duplicates {
        var doorbell: Int32?
        var output: Int32?

        var all: [Int32] { [doorbell, output].compactMap { $0 } }
    }

    /// nil: no program before has left one, or not one that can be read; then there is none.
    static func take() -> SupervisorWayBack? {
        guard let back = WayBack.take() else { return nil }
        if let whole = SupervisorWayBack(back) { return whole }
        back.end()
        return nil
    }

    private init?(_ back: WayBack) {
        guard let item = back.items.first(where: { $0.kind == Supervisor.handoverKind }),
            let inheritance = SupervisorInheritance(item)
        else { return nil }
        self.back = back
        generation = inheritance.pool.generation
        own = [inheritance.scoreboard, inheritance.orders, inheritance.lifeline, inheritance.lifelineHold]
        var (doorbells, outputs) = (inheritance.doorbells[...], inheritance.outputs[...])
        for worker in inheritance.pool.workers {
            duplicates[worker.spawn] = Duplicates(
                doorbell: worker.hasDoorbell ? doorbells.popFirst() : nil,
                output: worker.output == nil ? nil : outputs.popFirst())
        }
    }

    var image: Int32 { back.image }

    /// What the program before gets now.
    var items: [HandoverItem] { back.present }

    var heldDescriptors: [HeldDescriptor] {
        let kept = Set(back.kept + duplicates.values.flatMap(\.all))
        return back.place.map { HeldDescriptor(.programImage, $0) } + kept.map { HeldDescriptor(.handover, $0) }
    }

    func end() {
        back.end()
    }

    /// Tells the program before of the workers that live now.
    ///
    /// - Parameters:
    ///   - numbers: a worker's doorbell and what reads its output, in this program.
    ///   - ended: children that end with this program.
    mutating func describe(
        _ pool: InheritedPool, _ records: HandoverItem, ending ended: [Int32],
        _ numbers: (UInt64) -> (doorbell: Int32?, output: Int32?)
    ) throws(SystemError) {
        var pool = pool
        pool.generation = max(pool.generation, generation)
        var (doorbells, outputs): ([Int32], [Int32]) = ([], [])
        for index in pool.workers.indices {
            let spawn = pool.workers[index].spawn
            let known = duplicates[spawn] ?? Self.duplicates(of: numbers(spawn))
            duplicates[spawn] = known
            // Without a descriptor left for it, the worker serves without a bell, and what it says is lost. One that
            // has crashed has no bell any more.
            let worker = pool.workers[index]
            let doorbell = worker.hasDoorbell ? known.doorbell : nil
            let output = worker.output == nil ? nil : known.output
            pool.workers[index].hasDoorbell = doorbell != nil
            if output == nil { pool.workers[index].output = nil }
            doorbells += doorbell.map { [$0] } ?? []
            outputs += output.map { [$0] } ?? []
        }
        let item = HandoverItem(
            kind: Supervisor.handoverKind, key: "", descriptors: own + doorbells + outputs, text: pool.text)
        let children = Leftovers.item(from: back.items, keeping: pool.workers.map(\.pid), ending: ended)
        let changing = [item, records, children]
        let kinds = Set(changing.map(\.kind))
        try back.describe(back.items.filter { !kinds.contains($0.kind) } + changing)
        // What the program before has duplicated stays open: it is what it gets if this fails from now on.
        let old = Set(back.items.flatMap(\.descriptors))
        let living = Set(pool.workers.map(\.spawn))
        for (spawn, known) in duplicates where !living.contains(spawn) {
            duplicates[spawn] = nil
            for number in known.all where !old.contains(number) { closeDescriptor(number) }
        }
    }

    private static func duplicates(of numbers: (doorbell: Int32?, output: Int32?)) -> Duplicates {
        Duplicates(
            doorbell: numbers.doorbell.flatMap { try? duplicate($0) },
            output: numbers.output.flatMap { try? duplicate($0) })
    }
}

extension Supervisor {
    /// Before anything runs that may end this program, and whenever a worker has come or gone.
    func describeWayBack() {
        guard wayBack != nil, inheritance == nil else { return }
        let ended = (targets?.knownProcesses ?? []) + (upgrade.map { [$0.trial.pid] } ?? [])
        do throws(SystemError) {
            try wayBack?.describe(inheritedPool, inheritedRecords.item, ending: ended) { [self] spawn in
                (bells[spawn]?.number, output?.pipe(of: spawn)?.number)
            }
        } catch {
            // The program before then knows the workers of before, and ends the others.
            logger.say(LogLine(.warning, "upgrade: the way back is that of before: \(error)"), by: .own(.order))
        }
    }

    /// Goes back to the program before, when the new one's workers did not come up.
    func goBack() {
        guard wayBack != nil else { return }
        isGoingBack = true
        targets?.stopAllForSuccessors()
    }

    /// - Returns: only when that program cannot be executed.
    func commitWayBack() {
        isGoingBack = false
        finishLog()
        describeWayBack()
        guard let wayBack else { return }
        let isAsked = whenNotBack != nil
        let text = "\(isAsked ? "rollback" : "upgrade failed"): this process becomes the program before again"
        logger.say(LogLine(isAsked ? .info : .error, text), by: .own(.order))
        let directory = undo?.workingDirectory ?? programs.directory
        let error = become(.descriptor(wayBack.image), in: directory, wayBack.items)
        logger.say(LogLine(.error, "there is no way back, the old workers serve on: \(error)"), by: .own(.order))
        whenNotBack?(.failed("there is no way back: \(error)"))
        whenNotBack = nil
        forgetPreviousImage()
    }

    /// This program holds: what the one before has left, and this one has not taken, is of no use any more.
    func forgetPreviousImage() {
        endWayBack()
        closeRest()
    }

    /// The end of this program is its own from here on: it holds, or somebody wants it to end.
    func endWayBack() {
        guard let wayBack else { return }
        wayBack.end()
        self.wayBack = nil
        undo = nil
        // Nobody else's locks have this process's name any more.
        let orders = scoreboard.orders
        orders.ownsLocks = false
        LockFamily.found(isOwner: { orders.ownsLocks }, becomesOwner: { orders.ownsLocks = true })
    }

    /// Closes what the image before has left and this one has not taken, as soon as there is no way back.
    func closeRest() {
        for name in Handover.closeRest() {
            logger.say(LogLine(.warning, "nobody took over \(name): closed"), by: .own(.start))
        }
    }

    /// The program after this one cannot say any more how it ended.
    func tellOfReturn() {
        guard let end = Handover.returned?.end else { return }
        let text = "upgrade failed: the new program ended (\(end)); this process is the program before again"
        logger.say(LogLine(.error, text), by: .own(.start))
    }

    /// The program after this one may have ended before it has cleared the lines of workers that are gone.
    func clearLinesOfTheGone() {
        guard Handover.returned != nil else { return }
        scoreboard.orders.serviceStops = false
        let taken = Set(workers.linesBySpawn.values)
        for line in 0..<scoreboard.orders.linesInUse where !taken.contains(line) { scoreboard.clear(line: line) }
    }
}
