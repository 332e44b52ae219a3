// The siege: seeds one after the other against one pool, which must be whole after each. After a fault there is a new
// pool.

import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// `siege seeds=N [first=S] [attack=MS] [whole=MS] [each=N] [kinds=BITS] [user=NAME]
/// [receives=1]`: N seeds, from `first` on, each for
/// `attack` milliseconds, and `each` of them to a pool, which must be whole `whole` milliseconds later (5 s). A line for
/// each seed, then the figures. With `receives` the supervisor's main process receives (`Desks`).
func siegeScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    guard geteuid() == 0 else { return say("skipped: the judge must be root") }
    guard let user = try Accounts.user(named: settings["user"] ?? "nobody") else { return say("skipped: no such user") }
    signal(SIGPIPE, SIG_IGN)
    let first = UInt64(settings.number("first") ?? 1)
    var siege = Siege(
        user: user, attack: settings.milliseconds("attack") ?? .milliseconds(500),
        recovery: settings.milliseconds("whole") ?? .seconds(5),
        kinds: UInt32(settings.number("kinds") ?? 0xFFF), receives: settings["receives"] == "1",
        isVerbose: settings["verbose"] != nil)
    let each = settings.number("each") ?? 10
    var seed = first
    let last = first + UInt64(settings.number("seeds") ?? 10)
    while seed < last { try siege.besiegeOnePool(&seed, upTo: min(last, seed + UInt64(each))) }
    siege.verdict.report()
}

struct Siege {
    let user: UserAccount
    let attack: Duration
    let recovery: Duration
    let kinds: UInt32
    let receives: Bool
    let isVerbose: Bool
    var verdict = Verdict()

    /// Each restart is worth some lines, and there are some twenty a second. A cause that is not thinned has thousands.
    private static let mostLogLines = 400
    /// 4 MiB a second of all children, twice if a second of this program spans two of the supervisor's. Escaping makes
    /// up to eight characters of one byte.
    private static let mostCaptured = 64 << 20

    /// Ends the pool's siege.
    struct Lost: Error { let why: String }

    mutating func besiegeOnePool(_ seed: inout UInt64, upTo end: UInt64) throws {
        verdict.pools += 1
        let pool = try BesiegedPool(
            user: user, logsToFile: verdict.pools % 2 == 1, receives: receives)
        do throws(Lost) {
            try start(pool)
        } catch {
            // Before any attack: the fixture itself is broken.
            complain(pool.tail.suffix(20).joined(separator: "\n"))
            pool.killLeftovers()
            require(false, "the pool does not come up: \(error.why)")
        }
        let before = (descriptors: pool.descriptors, memory: pool.memory)
        let clients = try Clients(port: pool.port)
        var isLost = false
        while seed < end, !isLost {
            var round = Round(pool: pool, seed: seed, siege: self)
            isLost = !round.run()
            note(round)
            seed += 1
        }
        verdict.tally.add(clients.stop())
        verdict.longestStatus = max(verdict.longestStatus, pool.asker.longest)
        verdict.statusCount += pool.asker.count
        if !isLost { finish(pool, before) }
        verdict.stoppedForGood += pool.stoppedForGood
        verdict.refills += pool.refills
        verdict.mostLogLines = max(verdict.mostLogLines, pool.log.mostInASecond)
    }

    private func start(_ pool: BesiegedPool) throws(Lost) {
        let limit = MonotonicInstant.now + max(.seconds(20), recovery)
        while (try? pool.asker.ask(isMeasured: false)) == nil, pool.checkEnd() == nil, MonotonicInstant.now < limit {
            pool.drain()
            usleep(5_000)
        }
        _ = try becomesWhole(pool, within: max(.seconds(20), recovery))
    }

    private mutating func note(_ round: Round) {
        verdict.seeds += 1
        verdict.operations[round.operation, default: 0] += 1
        // The numbers themselves are words of memory that the attackers write.
        if round.damages > 0 { verdict.damaged += 1 }
        if round.recoveries > 0 { verdict.recovered += 1 }
        verdict.siblingsReplaced += round.siblingsReplaced
        verdict.mostProcessorTime = max(verdict.mostProcessorTime, round.processorTime)
        verdict.longestWhole = max(verdict.longestWhole, round.whole)
        if !round.faults.isEmpty { verdict.faultySeeds += 1 }
        verdict.add(round.faults)
        let faults = round.faults.isEmpty ? "ok" : "FAULT " + round.faults.joined(separator: "; ")
        say("seed \(round.seed) \(round.operation), whole after \(oneDigit(round.whole)) ms: \(faults)")
        if isVerbose, !round.faults.isEmpty { complain(round.pool.tail.suffix(12).joined(separator: "\n")) }
    }

    /// After all attacks: reload, upgrade and stop work, and nothing is left.
    private mutating func finish(_ pool: BesiegedPool, _ before: (descriptors: Int, memory: Int)) {
        var faults: [String] = []
        do throws(Lost) {
            let generation = try view(pool).generation
            kill(pool.pid, SIGHUP)
            try wait(pool, "the reload after it all", within: max(.seconds(15), recovery)) { $0.generation > generation && $0.isWhole }
            kill(pool.pid, SIGUSR2)
            try wait(pool, "the upgrade after it all", within: max(.seconds(20), recovery * 2)) {
                $0.generation > generation + 1 && $0.isWhole
            }
        } catch {
            faults.append(error.why)
        }
        pool.drain()
        if pool.log.mostInASecond > Self.mostLogLines {
            faults.append("log: \(pool.log.mostInASecond) lines in a second")
        }
        if pool.log.mostCapturedInASecond > Self.mostCaptured {
            faults.append("log: \(pool.log.mostCapturedInASecond) bytes of children in a second")
        }
        if !pool.isCanaryUntouched() { faults.append("a file of root's was changed") }
        // Replaced workers are reaped a moment after they are replaced.
        let limit = MonotonicInstant.now + .seconds(5)
        while pool.descriptors > before.descriptors, MonotonicInstant.now < limit { usleep(20_000) }
        let more = pool.descriptors - before.descriptors
        verdict.descriptorsMore = max(verdict.descriptorsMore, more)
        if more > 0 { faults.append("descriptors left: \(more)") }
        let memory = pool.memory - before.memory
        verdict.memoryMore = max(verdict.memoryMore, memory)
        if memory > 32 << 10 { faults.append("memory: \(memory) KiB more") }
        if pool.log.strange > 0 {
            faults.append("log: \(pool.log.strange) lines that are none, as \(pool.log.strangest)")
        }
        kill(pool.pid, SIGTERM)
        let end = waitForEnd(pool, within: .seconds(10))
        if end != 0 {
            let how = end.map { "ended with \($0)" } ?? "still there after 10 s"
            faults.append("the stop after it all: \(how)")
        }
        let gone = MonotonicInstant.now + .seconds(5)
        while !pool.others.isEmpty, MonotonicInstant.now < gone { usleep(20_000) }
        let left = pool.others.count
        verdict.left += left
        if left > 0 { faults.append("processes left: \(left)") }
        verdict.add(faults)
        if !faults.isEmpty {
            say("pool FAULT \(faults.joined(separator: "; "))")
            if isVerbose { complain(pool.tail.suffix(12).joined(separator: "\n")) }
        }
    }

    private func waitForEnd(_ pool: BesiegedPool, within limit: Duration) -> Int32? {
        let end = MonotonicInstant.now + limit
        while MonotonicInstant.now < end {
            pool.drain()
            if let code = pool.checkEnd() { return code }
            usleep(5_000)
        }
        return nil
    }
}

/// One look at the pool.
func view(_ pool: BesiegedPool, isMeasured: Bool = true) throws(Siege.Lost) -> PoolView {
    pool.drain()
    if let end = pool.checkEnd() {
        throw Siege.Lost(why: "supervisor ended: \(end < 0 ? "signal \(-end)" : "code \(end)")")
    }
    let before = pool.supervisorActivity
    do throws(StatusAsker.Failure) {
        // Reads what the hostile worker has written over the requests of all.
        _ = try pool.asker.ask(.order("requests"), isMeasured: isMeasured)
        return PoolView(try pool.asker.ask(isMeasured: isMeasured))
    } catch {
        if let end = pool.checkEnd() {
            throw Siege.Lost(why: "supervisor ended: \(end < 0 ? "signal \(-end)" : "code \(end)")")
        }
        switch error {
        case .silent:
            throw Siege.Lost(why: "supervisor hangs: no status for 5 s, before \(before), after \(pool.supervisorActivity)")
        case .absent(let why): throw Siege.Lost(why: "control socket: \(why)")
        }
    }
}

func wait(
    _ pool: BesiegedPool, _ what: String, within limit: Duration, _ condition: (PoolView) -> Bool
) throws(Siege.Lost) {
    let end = MonotonicInstant.now + limit
    var last = try? view(pool, isMeasured: false)
    while MonotonicInstant.now < end {
        // Between two images no process accepts: that time is not an answer's.
        let seen = try view(pool, isMeasured: false)
        if condition(seen) { return }
        last = seen
        usleep(20_000)
    }
    throw Siege.Lost(why: "\(what): not within \(limit), \(last.map { "\($0)" } ?? "")")
}

/// Waits until all workers are ready and each honest one finds the shared things usable.
///
/// - Returns: what the last check said.
func becomesWhole(_ pool: BesiegedPool, within limit: Duration) throws(Siege.Lost) -> [String] {
    let end = MonotonicInstant.now + limit
    var missing = "no look"
    // One that keeps a lock while it is stopped is still there: hang detection, if it was not silenced, ends a worker.
    let patience = MonotonicInstant.now + limit * 0.6
    while MonotonicInstant.now < end {
        if MonotonicInstant.now > patience { pool.stoppedForGood += pool.killStopped() }
        let seen = try view(pool)
        // As an operator does who finds one.
        for slot in seen.ended {
            _ = try? pool.asker.ask(.order("restart", [.init("slot", .integer(Int64(slot)))]))
            pool.refills += 1
        }
        if !seen.isWhole {
            missing = "workers not ready: \(seen)"
        } else {
            var answers: [String] = []
            var bad: String?
            for task in Pool.honest {
                let connection = HTTPConnection(.unix(path: "\(pool.folder)/worker-\(task)"), timeout: 3)
                switch connection?.get("/check") {
                case .answer(let text, _):
                    answers.append(text)
                    let outcome = text.split(separator: " ").dropFirst(4).first ?? "all"
                    if outcome != "ok" { bad = "\(outcome.replacingColons) unusable: for worker \(task)" }
                case .silent: bad = "a worker is silent: \(task)"
                case .closed: bad = "a worker closes: \(task)"
                case nil: bad = "a worker cannot be connected to: \(task)"
                }
                if bad != nil { break }
            }
            if bad == nil { return answers }
            missing = bad!
        }
        usleep(10_000)
    }
    throw Siege.Lost(why: "not whole after \(limit.components.seconds) s, \(missing)")
}

extension Substring {
    /// A colon ends a fault's kind.
    fileprivate var replacingColons: String { String(map { $0 == ":" ? " " : $0 }) }
}
