// One seed: the order to attack, an operator's work meanwhile, and the pool whole again afterwards.

import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

struct Round {
    let pool: BesiegedPool
    let seed: UInt64
    let siege: Siege
    private(set) var faults: [String] = []
    private(set) var operation = "none"
    /// Milliseconds from the end of the attack until the pool was whole.
    private(set) var whole = 0.0
    /// Of the supervisor during the attack, in milliseconds.
    private(set) var processorTime = 0
    /// Honest workers that ended by themselves, with an exit code.
    private(set) var siblingsReplaced = 0
    private(set) var damages = 0
    private(set) var recoveries = 0

    init(pool: BesiegedPool, seed: UInt64, siege: Siege) {
        self.pool = pool
        self.seed = seed
        self.siege = siege
    }

    /// - Returns: whether the pool can take another one.
    mutating func run() -> Bool {
        var dice = SplitMix64(seed: seed)
        do throws(Siege.Lost) {
            let before = pool.processorTime
            try besiege(&dice)
            processorTime = pool.processorTime - before
            let begin = MonotonicInstant.now
            let answers = try becomesWhole(pool, within: siege.recovery)
            whole = Double((MonotonicInstant.now - begin).saturatedNanoseconds) / 1e6
            read(answers)
            try askForMetrics()
            try countSiblingDeaths()
        } catch {
            Order.quiet.write(in: pool.folder)
            faults.append(error.why)
            if siege.isVerbose { complain(pool.whereabouts().joined(separator: "\n")) }
            noteFindings()
            return false
        }
        noteFindings()
        return true
    }

    private mutating func noteFindings() {
        for finding in Set(pool.findings()).sorted() { faults.append("not refused: \(finding)") }
    }

    private func askForMetrics() throws(Siege.Lost) {
        let connection = HTTPConnection(.ipv4(0x7F00_0001, port: pool.metricsPort), timeout: 5)
        guard case .answer(let text, _) = connection?.get("/metrics"), text.contains("prefork_workers") else {
            throw Siege.Lost(why: "metrics: no answer")
        }
    }

    private mutating func besiege(_ dice: inout SplitMix64) throws(Siege.Lost) {
        let end = MonotonicInstant.now + siege.attack
        let act = MonotonicInstant.now + siege.attack.part(of: Int64(2 + dice.below(4)))
        var isDone = false
        Order.attack(seed: seed, deadline: end.nanoseconds, kinds: siege.kinds).write(in: pool.folder)
        while MonotonicInstant.now < end {
            if !isDone, MonotonicInstant.now > act {
                isDone = true
                operate(&dice)
            }
            _ = try view(pool, isMeasured: operation != "upgrade")
            usleep(50_000)
        }
        Order.quiet.write(in: pool.folder)
        if operation != "none" {
            // A hostile replacement may well fail a reload or an upgrade. It must not keep either from ending.
            try wait(pool, "\(operation) under attack", within: .seconds(15)) { $0.phase == "running" }
        }
    }

    private mutating func operate(_ dice: inout SplitMix64) {
        switch dice.below(10) {
        case 0, 1: order("reload", SIGHUP)
        case 2: order("upgrade", SIGUSR2)
        case 3: order("reopen logs", SIGUSR1)
        case 4:
            order("scale", SIGTTIN)
            kill(pool.pid, SIGTTOU)
        default: break
        }
    }

    private mutating func order(_ name: String, _ signal: Int32) {
        operation = name
        kill(pool.pid, signal)
    }

    private mutating func read(_ answers: [String]) {
        for word in answers.flatMap({ $0.split(separator: " ") }) {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let number = Int(parts[1]) else { continue }
            if parts[0] == "damages" { damages = max(damages, number) }
            if parts[0] == "recoveries" { recoveries = max(recoveries, number) }
        }
    }

    /// Honest workers that ended unasked.
    private mutating func countSiblingDeaths() throws(Siege.Lost) {
        let answer: JSONValue
        do throws(StatusAsker.Failure) {
            answer = try pool.asker.ask(.order("crashes"))
        } catch {
            throw Siege.Lost(why: "crashes: \(error)")
        }
        for report in answer["crashes"]?.array ?? [] {
            guard let slot = report["slot"]?.integer, slot != 0, let pid = report["pid"]?.integer,
                pool.knownDeaths.insert(pid).inserted, report["returnCode"]?.integer != 0
            else { continue }
            // One that was too slow to drain ended by an operator's wish. One that has lost its listener, which any
            // process that has it can shut down, ends in order, and its successor gets a new one.
            guard (report["returnCode"]?.integer ?? 0) < 0, report["killReason"]?.string ?? "hung" == "hung" else {
                siblingsReplaced += 1
                continue
            }
            let end = report["killReason"]?.string ?? report["status"]?.string ?? "?"
            faults.append("a sibling died: " + end.escaped(for: .terminal))
        }
    }
}
