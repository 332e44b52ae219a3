// One once-task: what waits, what is going, and each change of it. A value without side effects.

import PreforkSystem

/// What `OnceTable` wants done.
enum OnceAction: Equatable {
    /// Start the process of a task. It was seen that the task has no other one.
    case begin(name: String, OnceTicket)
    /// Ask the process of a task to end.
    case end(name: String)
    case report(OnceReport)
}

/// A task and its state.
///
/// | phase    | leaves it by                                                                       |
/// |----------|------------------------------------------------------------------------------------|
/// | idle     | a due time, an operator's order, the time of a repetition (starting)               |
/// | starting | its fork (running), a stop (idle)                                                  |
/// | running  | its end, seen by the kernel: the process was reaped (idle)                         |
struct OnceTask: Equatable {
    enum Phase: Equatable {
        case idle
        case starting(OnceTicket, since: MonotonicInstant)
        case running(OnceTicket, pid: Int32, began: MonotonicInstant, isLate: Bool)
    }

    /// With `.runEach`, so many due times wait at most.
    static let mostWaiting = 1_000
    /// Between the beginnings of two runs of which the first was killed: a task that kills itself takes no processor.
    static let killPause = Duration.milliseconds(10)
    private static let crashPause = Duration.milliseconds(100)
    private static let longestCrashPause = Duration.seconds(60)
    /// Between two looks at a process that cannot be collected.
    private static let stuckPause = Duration.milliseconds(50)
    /// A missed due time, for `.skip`.
    private static let tolerance = Duration.seconds(1)

    let settings: OnceSettings
    private(set) var phase = Phase.idle
    private(set) var dueTimes: OnceDueTimes
    /// The next run is first.
    private(set) var waiting: [OnceTicket] = []
    private(set) var runs: UInt64 = 0
    private(set) var counters = OnceCounters()
    private(set) var last: OnceRunReport?
    /// When the last success ended, in milliseconds since 1970.
    private(set) var lastSuccess: Int64?
    /// The next run begins no sooner.
    private var earliest = MonotonicInstant(nanoseconds: .min)
    private var began = MonotonicInstant(nanoseconds: .min)
    /// Crashes in a row.
    private var crashes = 0
    /// A process of the task that may live on although its end was reported: see `UnreapedChildren`.
    private(set) var stuck: Int32?

    init(_ settings: OnceSettings, at now: OnceInstant, using random: inout SplitMix64) {
        self.settings = settings
        dueTimes = OnceDueTimes(settings, at: now, using: &random)
    }

    var name: String { settings.name }

    var pid: Int32? { if case .running(_, let pid, _, _) = phase { pid } else { nil } }

    /// The run that is going or about to.
    var current: OnceTicket? {
        switch phase {
        case .idle: nil
        case .starting(let ticket, _), .running(let ticket, _, _, _): ticket
        }
    }

    // Time

    /// - Parameter isOpen: runs may begin.
    func deadline(at now: OnceInstant, isOpen: Bool) -> MonotonicInstant? {
        var deadline = isOpen ? dueTimes.deadline(at: now) : nil
        switch phase {
        case .idle:
            if isOpen, !waiting.isEmpty { deadline = min(deadline ?? .distantFuture, max(earliest, now.monotonic)) }
        case .running(_, _, let began, false):
            if let timeout = settings.timeout { deadline = min(deadline ?? .distantFuture, began + timeout) }
        case .starting, .running: break
        }
        return deadline
    }

    mutating func takeDueTimes(_ now: OnceInstant, _ random: inout SplitMix64, _ actions: inout [OnceAction]) {
        let (arrived, setBack) = dueTimes.take(at: now, using: &random)
        if setBack { actions.append(.report(.setBack(name: name))) }
        if let arrived { note(arrived, &actions) }
    }

    /// A run that takes too long is asked to end.
    mutating func checkLimit(_ now: OnceInstant, _ actions: inout [OnceAction]) {
        guard let timeout = settings.timeout, case .running(let ticket, let pid, let began, false) = phase,
            began + timeout <= now.monotonic
        else { return }
        phase = .running(ticket, pid: pid, began: began, isLate: true)
        actions.append(.report(.timedOut(name: name, run: ticket.run, pid: pid, limit: timeout)))
        actions.append(.end(name: name))
    }

    private mutating func note(_ arrived: ArrivedDueTimes, _ actions: inout [OnceAction]) {
        let ticket = OnceTicket(due: arrived.last, covers: 1, scheduled: arrived.scheduled)
        switch settings.misfire.kind {
        case .runNow: coalesce(ticket, arrived, &actions)
        case .runEach: enqueue(ticket, arrived, &actions)
        case .skip: skip(ticket, arrived, &actions)
        }
    }

    /// One run stands for all that wait.
    private mutating func coalesce(_ ticket: OnceTicket, _ arrived: ArrivedDueTimes, _ actions: inout [OnceAction]) {
        var ticket = ticket
        // What waits for its first run has none of its own. What was killed has had one.
        let passed = waiting.filter { $0.due > 0 && $0.attempt == 1 }.map(\.covers).reduce(0, +)
        let asked = waiting.filter { $0.due == 0 }
        ticket.covers = arrived.count + passed
        waiting = asked + [ticket]
        let count = ticket.covers - 1
        let isNew = arrived.count - 1 + (passed > 0 ? 1 : 0)
        counters.coalesced += isNew
        if isNew > 0 { actions.append(.report(.coalesced(name: name, count: count, last: arrived.last - 1))) }
    }

    private mutating func enqueue(_ ticket: OnceTicket, _ arrived: ArrivedDueTimes, _ actions: inout [OnceAction]) {
        var numbers = (arrived.last - arrived.count + 1)...arrived.last
        let room = UInt64(max(0, Self.mostWaiting - waiting.count))
        let left = arrived.count > room ? arrived.count - room : 0
        if left > 0 {
            // The oldest of them have no run of their own.
            counters.coalesced += left
            actions.append(.report(.coalesced(name: name, count: left, last: numbers.lowerBound + left - 1)))
            if left == arrived.count {
                // The last one that waits stands for them, and so is for the last of them.
                let last = waiting.count - 1
                waiting[last].covers += left
                (waiting[last].due, waiting[last].scheduled) = (ticket.due, ticket.scheduled)
                return
            }
            numbers = (numbers.lowerBound + left)...arrived.last
        }
        let times = dueTimes.times(of: arrived, last: numbers.count)
        for (number, time) in zip(numbers, times) {
            var one = ticket
            (one.due, one.scheduled) = (number, time)
            if number == numbers.lowerBound { one.covers += left }
            waiting.append(one)
        }
    }

    private mutating func skip(_ ticket: OnceTicket, _ arrived: ArrivedDueTimes, _ actions: inout [OnceAction]) {
        let isMissed = phase != .idle || !waiting.isEmpty || arrived.lateness > Self.tolerance
        let count = isMissed ? arrived.count : arrived.count - 1
        if count > 0 {
            counters.skipped += count
            let last = isMissed ? arrived.last : arrived.last - 1
            actions.append(.report(.skipped(name: name, count: count, last: last)))
        }
        if !isMissed { waiting.append(ticket) }
    }

    // Runs

    /// - Parameter isFree: no process of the task lives, as far as the kernel says.
    mutating func advance(_ now: OnceInstant, isFree: Bool, _ actions: inout [OnceAction]) {
        guard phase == .idle, earliest <= now.monotonic, var ticket = waiting.first else { return }
        // Its end comes without an event.
        guard isFree, stuck == nil else { return earliest = now.monotonic + Self.stuckPause }
        waiting.removeFirst()
        runs += 1
        ticket.run = runs
        began = now.monotonic
        phase = .starting(ticket, since: now.monotonic)
        actions.append(.begin(name: name, ticket))
    }

    /// An operator asks for a run.
    ///
    /// - Returns: why not, or the number of the run.
    mutating func request(_ now: OnceInstant, isFree: Bool, _ actions: inout [OnceAction]) -> Result<UInt64, Refusal> {
        switch phase {
        case .running(let ticket, let pid, let began, _):
            let time = (now.monotonic - began).short
            return .failure(Refusal(text: "run \(ticket.run) of \(name) is going (pid \(pid), since \(time))"))
        case .starting(let ticket, _): return .failure(Refusal(text: "run \(ticket.run) of \(name) is starting"))
        case .idle: break
        }
        if !isFree || stuck != nil {
            let pid = stuck.map { " (pid \($0))" } ?? ""
            return .failure(Refusal(text: "the last process of \(name) has not been collected\(pid)"))
        }
        earliest = now.monotonic
        waiting.insert(OnceTicket(due: 0, covers: 0, scheduled: now.wall), at: 0)
        advance(now, isFree: true, &actions)
        return .success(runs)
    }

    struct Refusal: Error, Equatable { let text: String }

    /// Its process exists.
    mutating func forked(_ pid: Int32, _ now: OnceInstant, _ actions: inout [OnceAction]) {
        guard case .starting(let ticket, _) = phase else { return }
        phase = .running(ticket, pid: pid, began: now.monotonic, isLate: false)
        let lateness: Duration = ticket.due == 0 ? .zero : .milliseconds(now.wall - ticket.scheduled)
        actions.append(.report(.began(name: name, pid: pid, ticket, lateness: lateness)))
    }

    /// Its process was reaped.
    ///
    /// - Parameters:
    ///   - wasAsked: the supervisor had asked it to end.
    ///   - isStuck: its end is not known, and it may live.
    mutating func ended(
        _ pid: Int32, _ status: ExitStatus, wasAsked: Bool, isStuck: Bool, _ now: OnceInstant,
        _ actions: inout [OnceAction]
    ) {
        if isStuck { stuck = pid }
        guard case .running(let ticket, pid, let began, let isLate) = phase else { return }
        let result = result(of: status, wasAsked: wasAsked, isLate: isLate)
        let duration = now.monotonic - began
        phase = .idle
        counters.results[result, default: 0] += 1
        counters.duration += duration
        last = OnceRunReport(
            ticket: ticket, pid: pid, result: result, status: "\(status)", duration: duration, time: now.wall)
        if result == .done { lastSuccess = now.wall }
        if settings.workerIndex != nil || result.isWithoutBody, let last {
            actions.append(.report(.ended(name: name, last)))
        }
        guard result == .killed else { return crashes = 0 }
        repeatKilled(ticket, pid, status, now, &actions)
    }

    private func result(of status: ExitStatus, wasAsked: Bool, isLate: Bool) -> OnceResult {
        if isLate { return .timedOut }
        switch status {
        case .exited(code: 0): return .done
        case .exited(code: OnceLeaseCode.elsewhere) where settings.isLeased: return .elsewhere
        case .exited(code: OnceLeaseCode.noLease) where settings.isLeased: return .noLease
        // 128 + n: a process on an event loop that signal n of another process has ended (see `LoopMain`).
        case .exited(let code) where (129...159).contains(code) && !wasAsked: return .killed
        case .exited: return wasAsked ? .stopped : .failed
        case .signaled, .lost: return wasAsked ? .stopped : .killed
        }
    }

    private mutating func repeatKilled(
        _ ticket: OnceTicket, _ pid: Int32, _ status: ExitStatus, _ now: OnceInstant, _ actions: inout [OnceAction]
    ) {
        crashes = status.isCrash ? crashes + 1 : 0
        let pause = crashes == 0 ? Self.killPause : Self.crashPause * (1 << min(crashes - 1, 10))
        earliest = max(began + min(pause, Self.longestCrashPause), now.monotonic)
        var retry: Duration? = earliest - now.monotonic
        switch settings.misfire.kind {
        case .skip:
            earliest = now.monotonic
            retry = nil
        case .runNow where !waiting.isEmpty: break
        case .runNow, .runEach:
            var again = ticket
            again.run = 0
            again.attempt += 1
            waiting.insert(again, at: 0)
        }
        let isCutOff = status == .lost && settings.workerIndex != nil
        actions.append(.report(.killed(name: name, run: ticket.run, pid: pid, isCutOff: isCutOff, retry: retry)))
    }

    /// Its stuck process was collected, or is no child any more.
    mutating func collected() { stuck = nil }

    /// Runs may begin again after a stop. Due times that have come meanwhile are no due times.
    mutating func resume(at now: OnceInstant, using random: inout SplitMix64) {
        dueTimes = OnceDueTimes(settings, count: dueTimes.count, at: now, using: &random)
    }

    /// Nothing begins any more. What was about to is taken back.
    mutating func stop(_ actions: inout [OnceAction]) {
        guard case .starting(var ticket, _) = phase else { return }
        phase = .idle
        runs -= 1
        ticket.run = 0
        waiting.insert(ticket, at: 0)
        actions.append(.end(name: name))
    }
}

extension OnceTask {
    /// What the previous image knew of it.
    ///
    /// - Parameter isAlive: whether the process of its run is this image's child.
    mutating func inherit(
        _ record: OnceRecord, isAlive: (Int32) -> Bool, at now: OnceInstant, using random: inout SplitMix64,
        _ actions: inout [OnceAction]
    ) {
        let isSame = record.schedule == OnceRecord.key(of: settings.schedule)
        dueTimes = OnceDueTimes(
            settings, count: record.dueTimes, anchor: isSame ? record.anchor : nil, at: now, using: &random)
        if isSame, let second = record.nextSecond { dueTimes.continueFrom(second: second) }
        runs = record.runs
        counters = record.counters
        waiting = record.waiting
        last = record.last
        lastSuccess = record.lastSuccess
        guard let run = record.running else { return }
        phase = .running(
            run.ticket, pid: run.pid, began: MonotonicInstant(nanoseconds: run.began), isLate: run.isLate)
        if !isAlive(run.pid) {
            ended(run.pid, .lost, wasAsked: false, isStuck: false, now, &actions)
        }
    }

    /// For the next image of the program.
    func record(at now: OnceInstant) -> OnceRecord {
        var record = OnceRecord(name: name, schedule: OnceRecord.key(of: settings.schedule))
        record.dueTimes = dueTimes.count
        record.anchor = dueTimes.anchor
        record.nextSecond = dueTimes.nextSecond
        record.runs = runs
        record.counters = counters
        record.waiting = waiting
        record.last = last
        record.lastSuccess = lastSuccess
        switch phase {
        case .idle: break
        case .starting(var ticket, _):
            // It has no process yet: the next image begins it.
            ticket.run = 0
            record.runs -= 1
            record.waiting.insert(ticket, at: 0)
        case .running(let ticket, let pid, let began, let isLate):
            record.running = .init(ticket: ticket, pid: pid, began: began.nanoseconds, isLate: isLate)
        }
        return record
    }
}
