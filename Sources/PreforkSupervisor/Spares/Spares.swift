// The spare workers of a pool, without side effects: events in, actions out.

import PreforkSystem

/// What happened to a spare, or to the fork of one. Spares have numbers of their own, which are never used again.
enum SpareEvent: Equatable {
    case forked(UInt64, pid: Int32)
    /// The kernel refused the fork.
    case refused(UInt64, reason: String)
    /// The supervisor makes no spare now: there is too little memory, or it has a second thread.
    case postponed(UInt64)
    /// The spare waits for a slot.
    case parked(UInt64)
    /// A slot has it. From here on it is a worker.
    case taken(UInt64)
    /// It could not be told of its slot, or it lacks what a worker needs by now.
    case unfit(UInt64)
    case exited(UInt64, ExitStatus)
}

/// The spares of a pool. Its functions change it and return the actions that follow.
///
/// | state   | leaves it by                                                     |
/// |---------|------------------------------------------------------------------|
/// | booting | its word that it waits, its end, the boot timeout (killed)       |
/// | parked  | a slot (it is a worker then), its end, an order to go (leaving)  |
/// | leaving | its end, its deadline (killed)                                   |
/// | killed  | its end                                                          |
struct Spares: Equatable {
    enum State: Equatable {
        case booting(deadline: MonotonicInstant)
        case parked
        case leaving(deadline: MonotonicInstant)
        /// - wasLeaving: it had been asked to end before.
        case killed(wasLeaving: Bool)
    }

    struct Spare: Equatable {
        let number: UInt64
        let pid: Int32
        /// Of the pool when it was forked.
        let generation: Int
        let started: MonotonicInstant
        var state: State
    }

    /// How long nothing must have been under way before a spare is forked: the workers have the processors first.
    static let quietTime = Duration.milliseconds(50)
    /// A spare that is let go has nothing in hand.
    static let leavingTime = Duration.seconds(1)
    /// After a refused fork, and where there is no room.
    static let longPause = Duration.seconds(10)
    /// A spare that ends sooner by itself counts as one that cannot live.
    static let shortLife = Duration.seconds(10)
    /// So many of those in a row, and no other spare is forked before the next reload.
    static let mostShortLives = 5

    let wanted: Int
    private(set) var list: [Spare] = []
    /// The fork that the supervisor was asked for.
    private(set) var asked: UInt64?
    private(set) var isOff = false
    private var last: UInt64 = 0
    private var quietSince: MonotonicInstant?
    private var notBefore: MonotonicInstant?
    private var shortLives = 0

    init(wanted: Int) { self.wanted = wanted }

    /// Those that a slot can have.
    var parked: [Spare] { list.filter { $0.state == .parked } }

    /// Those that leave count, too: the limit is one of processes.
    var isMissing: Bool { !isOff && asked == nil && list.count < wanted }

    /// When a spare must be forked or killed. If nil, never by itself.
    var deadline: MonotonicInstant? {
        let ends = list.compactMap { spare -> MonotonicInstant? in
            switch spare.state {
            case .booting(let deadline), .leaving(let deadline): deadline
            case .parked, .killed: nil
            }
        }
        return [ends.min(), forkDue].lazy.compactMap { $0 }.min()
    }

    private var forkDue: MonotonicInstant? {
        guard isMissing, let quietSince else { return nil }
        return max(quietSince + Self.quietTime, notBefore ?? quietSince)
    }

    /// - Parameter isQuiet: whether the pool leaves time for a fork.
    mutating func advance(isQuiet: Bool, at now: MonotonicInstant) -> [PoolAction] {
        if wanted == 0 { return [] }
        var actions = killOverdue(at: now)
        guard isMissing, isQuiet else {
            quietSince = nil
            return actions
        }
        quietSince = quietSince ?? now
        guard let forkDue, forkDue <= now else { return actions }
        last += 1
        asked = last
        actions.append(.forkSpare(last))
        return actions
    }

    /// - Parameter bootDeadline: until when it must have said that it waits.
    mutating func handle(
        _ event: SpareEvent, generation: Int, bootDeadline: MonotonicInstant, at now: MonotonicInstant
    ) -> [PoolAction] {
        switch event {
        case .forked(let number, let pid):
            asked = nil
            // One after the other.
            quietSince = now
            list.append(
                Spare(
                    number: number, pid: pid, generation: generation, started: now,
                    state: .booting(deadline: bootDeadline)))
        case .refused(_, let reason):
            asked = nil
            notBefore = now + Self.longPause
            return [.report(.spare(.notStarted(reason: reason, retryIn: Self.longPause)))]
        case .postponed:
            asked = nil
            notBefore = now + Self.longPause
        case .parked(let number):
            guard let index = index(of: number), case .booting = list[index].state else { break }
            list[index].state = .parked
        case .taken(let number):
            shortLives = 0
            list.removeAll { $0.number == number }
        case .unfit(let number):
            return letGo(at: now) { $0.number == number }
        case .exited(let number, let status):
            return exited(number, status, at: now)
        }
        return []
    }

    private func index(of number: UInt64) -> Int? { list.firstIndex { $0.number == number } }

    /// Asks spares to end.
    mutating func letGo(at now: MonotonicInstant, where condition: (Spare) -> Bool = { _ in true }) -> [PoolAction] {
        var actions: [PoolAction] = []
        for index in list.indices where condition(list[index]) {
            switch list[index].state {
            case .booting, .parked:
                list[index].state = .leaving(deadline: now + Self.leavingTime)
                actions.append(.letSpareGo(list[index].number))
            case .leaving, .killed: break
            }
        }
        return actions
    }

    /// A worker could not be forked: a spare must not take its place, and no other one follows soon.
    mutating func makeRoom(at now: MonotonicInstant) -> [PoolAction] {
        if wanted == 0 { return [] }
        notBefore = now + Self.longPause
        return letGo(at: now)
    }

    /// A reload may have mended what ended the spares.
    mutating func forgetShortLives() {
        shortLives = 0
        isOff = false
    }

    private mutating func killOverdue(at now: MonotonicInstant) -> [PoolAction] {
        var actions: [PoolAction] = []
        for index in list.indices {
            switch list[index].state {
            case .booting(let deadline) where deadline <= now: list[index].state = .killed(wasLeaving: false)
            case .leaving(let deadline) where deadline <= now: list[index].state = .killed(wasLeaving: true)
            default: continue
            }
            actions.append(.killSpare(list[index].number))
        }
        return actions
    }

    private mutating func exited(_ number: UInt64, _ status: ExitStatus, at now: MonotonicInstant) -> [PoolAction] {
        guard let index = index(of: number) else { return [] }
        let spare = list.remove(at: index)
        switch spare.state {
        case .leaving, .killed(wasLeaving: true): return []
        case .booting, .parked, .killed(wasLeaving: false): break
        }
        shortLives = now - spare.started < Self.shortLife ? shortLives + 1 : 0
        notBefore = now + min(.milliseconds(100) * (1 << min(shortLives, 10)), Self.longPause)
        let lost = PoolAction.report(.spare(.lost(pid: spare.pid, status, after: now - spare.started)))
        guard shortLives >= Self.mostShortLives else { return [lost] }
        isOff = true
        return [lost, .report(.spare(.turnedOff(inARow: shortLives)))]
    }
}
