// When a pool forks spares, which slots get them, and when they go.

import PreforkSystem

extension Pool {
    /// The spare that becomes the worker of that fork.
    ///
    /// A reload's workers are forked: they must have what the program has read for them. Spares that were forked before
    /// it have been let go.
    ///
    /// - Returns: nil if the worker must be forked.
    func spare(forFork spawn: UInt64, slot: Int) -> UInt64? {
        guard reload == nil, slots.indices.contains(slot) else { return nil }
        if let replacement = slots[slot].replacement, case .forking(spawn) = replacement.stage,
            replacement.cause == .reload
        {
            return nil
        }
        return spares.parked.first { $0.generation == generation }?.number
    }

    /// Nothing is under way that a fork would delay, and no worker is missing.
    private var isQuietEnoughForSpare: Bool {
        guard phase == .running, reload == nil, !isHeld, !holdsSpares, hasBeenComplete else { return false }
        let isSettled = slots.allSatisfy { slot in
            slot.replacement == nil && slot.askedFork == nil
                && (slot.isReady || slot.state == .ended || slot.state == .failed)
        }
        return isSettled && slots.contains(where: \.isReady)
    }

    /// What follows for spares from any change.
    mutating func advanceSpares() {
        if spares.wanted == 0 { return }
        let goesOn = isServing && !holdsSpares
        let current = generation
        actions += spares.letGo(at: now) { !goesOn || $0.generation != current }
        // Asked only if it decides something: it goes through all slots.
        let isQuiet = spares.isMissing && isQuietEnoughForSpare
        actions += spares.advance(isQuiet: isQuiet, at: now)
    }

    mutating func handle(_ event: SpareEvent) {
        actions += spares.handle(
            event, generation: generation, bootDeadline: now + settings.bootTimeout, at: now)
    }

    /// The program is about to change what later workers inherit: spares that were forked before would not have it.
    mutating func letSparesGo(at now: MonotonicInstant) -> [PoolAction] {
        change(at: now) { pool in pool.actions += pool.spares.letGo(at: now) }.actions
    }

    /// Another image takes this process over, which does not know them.
    ///
    /// - Parameter holds: false: it has not come.
    mutating func holdSpares(_ holds: Bool, at now: MonotonicInstant) -> [PoolAction] {
        if holdsSpares == holds { return [] }
        return change(at: now) { $0.holdsSpares = holds }.actions
    }
}
