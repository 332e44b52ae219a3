// The rollback of an upgrade, from the supervisor's side: what the previous program gets, and when it returns.

import PreforkSystem

/// The rollback, with what the supervisor needs for it.
struct SupervisorRollback {
    private let back: Rollback
    /// The supervisor's own four descriptors, duplicated by the previous program.
    private let own: [Int32]
    /// The records as they were described last, and when they are due again.
    var records: (item: HandoverItem, due: MonotonicInstant)?
    /// The lowest generation of this program's own workers. Workers of the previous program have an earlier one.
    private let generation: Int
    /// Of each worker its doorbell and what reads its output.
    private var workers = ChildDuplicates()
    /// Of each worker the way by which it gets links.
    private var ways = WayDuplicates()
    /// The same for managed processes.
    private var managed = ChildDuplicates()
    /// Those of the manager.
    private var managers: [Int32] = []
    /// Of the managed processes of the previous program.
    private var ownSpawns: Set<UInt64> = []

    /// If nil, no previous program has left one, or it cannot be read. Then there is no rollback.
    static func take() -> SupervisorRollback? {
        guard let back = Rollback.take() else { return nil }
        if let whole = SupervisorRollback(back) { return whole }
        back.end()
        return nil
    }

    private init?(_ back: Rollback) {
        guard let item = back.items.first(where: { $0.kind == Supervisor.handoverKind }),
            let inheritance = SupervisorInheritance(item)
        else { return nil }
        self.back = back
        generation = inheritance.pool.generation
        own = [inheritance.scoreboard, inheritance.orders, inheritance.lifeline, inheritance.lifelineHold]
        workers = ChildDuplicates(inheritance.pool.workers, inheritance.doorbells, inheritance.outputs)
        ways = WayDuplicates(back.items.first { $0.kind == HandoverRoutes.handoverKind })
        let left = back.items.first { $0.kind == InheritedTargets.handoverKind }.flatMap { TargetInheritance($0) }
        guard let left else { return }
        managers = [left.scoreboard, left.orders, left.lifeline, left.lifelineHold]
        managed = ChildDuplicates(left.targets.processes, left.doorbells, left.outputs)
        ownSpawns = Set(left.targets.processes.filter(\.isOwn).map(\.spawn))
    }

    var image: Int32 { back.image }

    /// What the previous program would get now.
    var items: [HandoverItem] { back.present }

    var heldDescriptors: [HeldDescriptor] {
        let kept = Set(back.kept + workers.all + ways.all + managed.all + managers)
        return back.place.map { HeldDescriptor(.programImage, $0) } + kept.map { HeldDescriptor(.handover, $0) }
    }

    func end() {
        back.end()
    }

    /// Tells the previous program of the workers and the managed processes that live now.
    ///
    /// - Parameters:
    ///   - targets: the manager of managed processes, if there is one.
    ///   - ended: children that end with this program.
    ///   - routes: the ways to workers in this program.
    ///   - numbers: a worker's doorbell and what reads its output, in this program.
    mutating func describe(
        _ pool: InheritedPool, _ targets: TargetRunner?, _ records: HandoverItem, ending ended: [Int32],
        _ routes: HandoverRoutes, _ numbers: (UInt64) -> (doorbell: Int32?, output: Int32?)
    ) throws(SystemError) {
        var pool = pool
        pool.generation = max(pool.generation, generation)
        let (doorbells, outputs) = workers.describe(&pool.workers, numbers)
        let item = HandoverItem(
            kind: Supervisor.handoverKind, key: "", descriptors: own + doorbells + outputs, text: pool.text)
        let living = Set(pool.workers.map(\.spawn))
        let waysItem = ways.describe(routes, living: living)
        let managedItem = try targets.map { targets throws(SystemError) in try describe(targets) }
        let kept = pool.workers.map(\.pid) + (managedItem?.pids ?? [])
        let children = RollbackOrphans.item(from: back.items, keeping: kept, ending: ended)
        let changing = [item, records, children, waysItem] + (managedItem.map { [$0.item] } ?? [])
        let kinds = Set(changing.map(\.kind))
        try back.describe(back.items.filter { !kinds.contains($0.kind) } + changing)
        // What the previous program has duplicated stays open: it gets that if this fails from now on.
        let old = Set(back.items.flatMap(\.descriptors))
        workers.forget(besides: living, keeping: old)
        ways.forget(besides: living, keeping: old)
        if let managedItem { managed.forget(besides: managedItem.spawns, keeping: old) }
    }

    private mutating func describe(
        _ targets: TargetRunner
    ) throws(SystemError) -> (item: HandoverItem, pids: [Int32], spawns: Set<UInt64>) {
        var inherited = targets.inheritance { [ownSpawns] in ownSpawns.contains($0) }
        // Where the previous program had no managed processes, it gets these to end them.
        if managers.isEmpty {
            let made = DescriptorSet()
            let numbers = try targets.ownDescriptors.map { number throws(SystemError) in
                made.add(try duplicate(number))
            }
            made.releaseAll()
            managers = numbers
        }
        let (doorbells, outputs) = managed.describe(&inherited.processes) { targets.descriptors(of: $0) }
        let item = HandoverItem(
            kind: InheritedTargets.handoverKind, key: "", descriptors: managers + doorbells + outputs,
            text: inherited.text)
        return (item, inherited.processes.map(\.pid), Set(inherited.processes.map(\.spawn)))
    }
}

/// Duplicates of what belongs to children of one kind, for the previous program.
private struct ChildDuplicates {
    private struct Entry {
        var doorbell: Int32?
        var output: Int32?

        var all: [Int32] { [doorbell, output].compactMap { $0 } }
    }

    /// By spawn.
    private var entries: [UInt64: Entry] = [:]

    init() {}

    /// What the previous program has duplicated itself.
    init(_ children: [some InheritedChild], _ doorbells: [Int32], _ outputs: [Int32]) {
        var (doorbells, outputs) = (doorbells[...], outputs[...])
        for child in children {
            entries[child.spawn] = Entry(
                doorbell: child.hasDoorbell ? doorbells.popFirst() : nil,
                output: child.output == nil ? nil : outputs.popFirst())
        }
    }

    var all: [Int32] { entries.values.flatMap(\.all) }

    /// - Parameters:
    ///   - children: lose what there is no descriptor left for: such a process serves without a bell, and what it says
    ///     is lost. One that has crashed has no bell any more.
    ///   - numbers: what belongs to a child in this program.
    /// - Returns: in the order of the children.
    mutating func describe(
        _ children: inout [some InheritedChild], _ numbers: (UInt64) -> (doorbell: Int32?, output: Int32?)
    ) -> (doorbells: [Int32], outputs: [Int32]) {
        var (doorbells, outputs): ([Int32], [Int32]) = ([], [])
        for index in children.indices {
            let spawn = children[index].spawn
            let known = entries[spawn] ?? Self.duplicates(of: numbers(spawn))
            entries[spawn] = known
            let doorbell = children[index].hasDoorbell ? known.doorbell : nil
            let output = children[index].output == nil ? nil : known.output
            children[index].hasDoorbell = doorbell != nil
            if output == nil { children[index].output = nil }
            doorbells += doorbell.map { [$0] } ?? []
            outputs += output.map { [$0] } ?? []
        }
        return (doorbells, outputs)
    }

    /// Closes what belongs to other children than these.
    mutating func forget(besides living: Set<UInt64>, keeping kept: Set<Int32>) {
        for (spawn, known) in entries where !living.contains(spawn) {
            entries[spawn] = nil
            for number in known.all where !kept.contains(number) { closeDescriptor(number) }
        }
    }

    private static func duplicates(of numbers: (doorbell: Int32?, output: Int32?)) -> Entry {
        Entry(
            doorbell: numbers.doorbell.flatMap { try? duplicate($0) },
            output: numbers.output.flatMap { try? duplicate($0) })
    }
}

extension Supervisor {
    /// Before anything runs that may end this program, and whenever a worker has come or gone.
    ///
    /// - Parameter isLast: the previous program continues from what this says.
    func describeRollback(isLast: Bool = false) {
        guard rollback != nil, inheritance == nil else { return }
        let records = recordsOfRollback(isLast: isLast)
        let ended = (targets?.late.processes ?? []) + (upgrade.map { [$0.trial.pid] } ?? [])
        do throws(SystemError) {
            try rollback?.describe(inheritedPool, targets, records, ending: ended, handoverRoutes) {
                [self] spawn in
                (bells[spawn]?.number, output?.pipe(of: spawn)?.number)
            }
        } catch {
            // The previous program then knows the earlier workers, and ends the others.
            let text = "upgrade: a rollback would restore an earlier state: \(error)"
            logger.say(LogLine(.warning, text), by: .own(.order))
        }
    }

    /// Counters and reports as they are, or as they were a moment ago.
    ///
    /// Children can make reports long, and cause one after the other. To write them down again takes a twentieth of the
    /// supervisor's time at most. A program that ends without going back by itself loses what was counted since.
    private func recordsOfRollback(isLast: Bool) -> HandoverItem {
        let begin = MonotonicInstant.now
        if !isLast, let known = rollback?.records, begin < known.due { return known.item }
        let item = inheritedRecords.item
        let end = MonotonicInstant.now
        rollback?.records = (item, end + (end - begin) * 20)
        return item
    }

    /// Rolls back to the previous program, because the new program's workers did not come up.
    func goBack() {
        guard rollback != nil else { return }
        isGoingBack = true
    }

    /// - Returns: only when that program cannot be executed.
    func commitRollback() {
        isGoingBack = false
        targets?.prepareToLeave()
        finishLog()
        describeRollback(isLast: true)
        guard let rollback else { return }
        let isAsked = whenNotBack != nil
        let text = "\(isAsked ? "" : "upgrade failed: ")rolling back to the previous program"
        logger.say(LogLine(isAsked ? .info : .error, text), by: .own(.order))
        let directory = undo?.workingDirectory ?? programs.directory
        let error = become(.descriptor(rollback.image), in: directory, rollback.items)
        logger.say(LogLine(.error, "cannot roll back, the old workers keep serving: \(error)"), by: .own(.order))
        whenNotBack?(.failed("cannot roll back: \(error)"))
        whenNotBack = nil
        forgetPreviousImage()
    }

    /// This program holds: what the one before has left, and this one has not taken, is of no use any more.
    func forgetPreviousImage() {
        endRollback()
        closeRest()
    }

    /// From here on the end of this program ends the service: it has held, or an operator stops it.
    func endRollback() {
        guard let rollback else { return }
        rollback.end()
        self.rollback = nil
        undo = nil
        targets?.commitSuccession()
        // Only this process's own locks have its name now.
        let orders = scoreboard.orders
        orders.ownsLocks = false
        LockFamily.found(isOwner: { orders.ownsLocks }, becomesOwner: { orders.ownsLocks = true })
    }

    /// Closes what the previous image has left and this one has not taken, as soon as a rollback is no longer possible.
    func closeRest() {
        for name in Handover.closeRest() {
            logger.say(LogLine(.warning, "the new program did not take over \(name): closed"), by: .own(.start))
        }
    }

    /// The program after this one cannot say any more how it ended.
    func tellOfReturn() {
        guard let end = Handover.returned?.end else { return }
        let text = "upgrade failed: the new program ended (\(end)), rolled back to the previous program"
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
