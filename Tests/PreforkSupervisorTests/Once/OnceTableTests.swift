// Once-tasks, event by event, without a process and without a clock.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

private let start = OnceInstant(monotonic: MonotonicInstant(nanoseconds: 5_000_000_000), wall: 1_796_083_200_000)

/// A table with a clock, and the processes that the runner would make.
private struct OnceDriver {
    var table = OnceTable(seed: 1)
    var now = start
    /// What has been done, in short.
    var done: [String] = []
    /// Processes that live, by task.
    var living: [String: Int32] = [:]
    /// Processes that were killed and cannot be collected.
    var stuck: Set<Int32> = []
    /// No process is made.
    var refusesForks = false
    private var nextPID: Int32 = 100

    init(_ tasks: OnceSettings...) {
        for task in tasks { table.add(task, at: now) }
        perform(table.begin(at: now) { _ in true })
    }

    mutating func pass(_ duration: Duration, wall: Duration? = nil) {
        now.monotonic = now.monotonic + duration
        now.wall += (wall ?? duration).saturatedNanoseconds / 1_000_000
        look()
    }

    mutating func look() {
        table.collect(stuck: stuck)
        let (living, table) = (living, self.table)
        perform(self.table.tick(at: now) { living[$0] == nil && table[$0]?.stuck == nil })
    }

    mutating func perform(_ actions: [OnceAction]) {
        for action in actions {
            switch action {
            case .begin(let name, let ticket):
                #expect(living[name] == nil, "two processes of \(name)")
                let attempt = ticket.attempt > 1 ? " attempt \(ticket.attempt)" : ""
                let covers = ticket.covers > 1 ? " covers \(ticket.covers)" : ""
                done.append("run \(ticket.run) due \(ticket.due)\(attempt)\(covers)")
                if !refusesForks { fork(name) }
            case .end(let name): done.append("end \(name)")
            case .report(.coalesced(_, let count, let last)): done.append("coalesced \(count) to \(last)")
            case .report(.skipped(_, let count, let last)): done.append("skipped \(count) to \(last)")
            case .report(.ended): break
            case .report(.killed(_, let run, _, _, let retry)): done.append("killed \(run) \(retry.map { $0.short } ?? "no")")
            case .report(.timedOut(_, let run, _, _)): done.append("late \(run)")
            case .report(.setBack): done.append("set back")
            case .report(.began): break
            }
        }
    }

    mutating func fork(_ name: String) {
        nextPID += 1
        living[name] = nextPID
        perform(table.forked(name, pid: nextPID, at: now))
    }

    mutating func end(_ name: String, _ status: PreforkSystem.ExitStatus = .exited(code: 0), wasAsked: Bool = false, isStuck: Bool = false) {
        guard let pid = living.removeValue(forKey: name) else { return }
        if isStuck { stuck.insert(pid) }
        let (living, table) = (living, self.table)
        perform(
            self.table.ended(name, pid: pid, status, wasAsked: wasAsked, isStuck: isStuck, at: now) {
                living[$0] == nil && table[$0]?.stuck == nil && !isStuck
            })
    }

    mutating func take() -> [String] {
        defer { done = [] }
        return done
    }

    func task(_ name: String) throws -> OnceTask { try #require(table[name]) }

    /// Every due time is begun, stands behind another one, is left out, or waits.
    func checkCounts(_ name: String, begun: Int) throws {
        let task = try task(name)
        let waiting = task.waiting.filter { $0.attempt == 1 && $0.due > 0 }.count
        let sum = UInt64(begun) + task.counters.coalesced + task.counters.skipped + UInt64(waiting)
        #expect(task.dueTimes.count == sum, "\(task.counters), \(begun) begun, \(waiting) waiting")
    }
}

private let minute = Duration.seconds(60)
private let killed = PreforkSystem.ExitStatus.signaled(.kill, coreDumped: false)

@Suite(.timeLimit(.minutes(2))) struct OnceTableTests {
    private func task(
        _ misfire: MisfirePolicy = .runNow, timeout: Duration? = nil, jitter: Duration = .zero
    ) -> OnceSettings {
        OnceSettings(name: "a", .every(minute), jitter: jitter, timeout: timeout, misfire: misfire)
    }

    @Test func `Runs come at exact intervals, however long each takes`() throws {
        var driver = OnceDriver(task())
        #expect(driver.take() == [])
        driver.pass(.seconds(59))
        #expect(driver.take() == [])
        driver.pass(.seconds(1))
        #expect(driver.take() == ["run 1 due 1"])
        driver.pass(.seconds(40))
        driver.end("a")
        driver.pass(.milliseconds(19_999))
        #expect(driver.take() == [])
        driver.pass(.milliseconds(1))
        #expect(driver.take() == ["run 2 due 2"])
        let status = try driver.task("a").status(at: driver.now)
        #expect(status.nextIn == minute && status.state == .running && status.last?.duration == .seconds(40))
        #expect(status.counters.results == [.done: 1])
    }

    @Test func `While a run goes, due times are coalesced, run late one by one, or left out`() throws {
        var driver = OnceDriver(task(.runNow))
        for _ in 0..<4 { driver.pass(minute) }
        #expect(driver.take() == ["run 1 due 1", "coalesced 1 to 2", "coalesced 2 to 3"])
        driver.end("a")
        #expect(driver.take() == ["run 2 due 4 covers 3"])
        try driver.checkCounts("a", begun: 2)

        driver = OnceDriver(task(.runEach))
        for _ in 0..<4 { driver.pass(minute) }
        #expect(driver.take() == ["run 1 due 1"])
        for number in 2...4 {
            driver.end("a")
            #expect(driver.take() == ["run \(number) due \(number)"])
        }
        driver.end("a")
        #expect(driver.take() == [])
        try driver.checkCounts("a", begun: 4)

        driver = OnceDriver(task(.skip))
        for _ in 0..<4 { driver.pass(minute) }
        #expect(driver.take() == ["run 1 due 1", "skipped 1 to 2", "skipped 1 to 3", "skipped 1 to 4"])
        driver.end("a")
        driver.pass(minute)
        #expect(driver.take() == ["run 2 due 5"])
        try driver.checkCounts("a", begun: 2)
    }

    @Test func `A supervisor that stood still for an hour does what the policy says`() throws {
        for (policy, expected) in [
            (MisfirePolicy.runNow, ["coalesced 59 to 59", "run 1 due 60 covers 60"]), (.skip, ["skipped 60 to 60"]),
            (.runEach, ["run 1 due 1"]),
        ] {
            var driver = OnceDriver(task(policy))
            driver.pass(minute * 60 + .seconds(2))
            #expect(driver.take() == expected)
            try driver.checkCounts("a", begun: policy == .skip ? 0 : 1)
        }
    }

    @Test func `A thousand wait at most, and one run stands for the oldest`() throws {
        var driver = OnceDriver(task(.runEach))
        driver.pass(minute)
        driver.pass(minute * 1_500)
        #expect(driver.take() == ["run 1 due 1", "coalesced 500 to 501"])
        #expect(try driver.task("a").waiting.count == OnceTask.mostWaiting)
        driver.end("a")
        #expect(driver.take() == ["run 2 due 502 covers 501"])
        driver.pass(minute * 3)
        #expect(driver.take() == ["coalesced 2 to 1503"])
        driver.pass(minute * 2)
        #expect(driver.take() == ["coalesced 2 to 1506"])
        let last = try driver.task("a").waiting.last
        #expect(last?.due == 1_506 && last?.covers == 5)
        try driver.checkCounts("a", begun: 2)
    }

    @Test func `A run that was killed is begun again at once, and no due time is lost`() throws {
        var driver = OnceDriver(task(.runNow))
        driver.pass(minute)
        driver.pass(.seconds(1))
        driver.end("a", killed)
        #expect(driver.take() == ["run 1 due 1", "killed 1 0 µs", "run 2 due 1 attempt 2"])
        driver.pass(.seconds(1))
        driver.end("a")
        driver.pass(.seconds(58))
        #expect(driver.take() == ["run 3 due 2"])
        try driver.checkCounts("a", begun: 2)
        #expect(try driver.task("a").counters.results == [.killed: 1, .done: 1])
    }

    @Test func `One that is killed as it begins is begun again ten milliseconds after its beginning`() throws {
        var driver = OnceDriver(task(.runNow))
        driver.pass(minute)
        driver.end("a", killed)
        #expect(driver.take() == ["run 1 due 1", "killed 1 10.0 ms"])
        #expect(driver.table.deadline(at: driver.now) == driver.now.monotonic + OnceTask.killPause)
        driver.pass(OnceTask.killPause)
        #expect(driver.take() == ["run 2 due 1 attempt 2"])
    }

    @Test func `A body that crashes waits longer each time, up to a minute, until a run does not crash`() throws {
        var driver = OnceDriver(OnceSettings(name: "a", .every(.seconds(86_400)), misfire: .runNow))
        driver.pass(.seconds(86_400))
        var pauses: [Duration] = []
        for _ in 0..<12 {
            driver.end("a", .signaled(.segmentationFault, coreDumped: false))
            let pause = try #require(driver.table.deadline(at: driver.now)) - driver.now.monotonic
            pauses.append(pause)
            driver.pass(pause)
            #expect(driver.living["a"] != nil)
        }
        #expect(pauses.prefix(4) == [.milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800)])
        #expect(pauses.last == .seconds(60))
        driver.end("a")
        _ = driver.take()
        driver.pass(.seconds(86_400))
        driver.end("a", .signaled(.segmentationFault, coreDumped: false))
        #expect(driver.take().last == "killed 14 100 ms")
    }

    @Test func `What was killed while a later due time waits is not run twice`() throws {
        var driver = OnceDriver(task(.runNow))
        driver.pass(minute)
        driver.pass(minute)
        driver.end("a", killed)
        #expect(driver.take() == ["run 1 due 1", "killed 1 0 µs", "run 2 due 2"])
        try driver.checkCounts("a", begun: 2)
        driver = OnceDriver(task(.runEach))
        driver.pass(minute)
        driver.pass(minute)
        driver.end("a", killed)
        driver.end("a")
        driver.pass(.zero)
        #expect(driver.take() == ["run 1 due 1", "killed 1 0 µs", "run 2 due 1 attempt 2", "run 3 due 2"])
        driver = OnceDriver(task(.skip))
        driver.pass(minute)
        driver.end("a", killed)
        driver.pass(.seconds(59))
        #expect(driver.take() == ["run 1 due 1", "killed 1 no"])
        driver.pass(.seconds(1))
        #expect(driver.take() == ["run 2 due 2"])
    }

    @Test func `A failure waits for the next due time, and a signal that was sent to a loop is a kill`() throws {
        var driver = OnceDriver(task(.runNow))
        driver.pass(minute)
        driver.end("a", .exited(code: 1))
        driver.pass(.seconds(59))
        #expect(driver.take() == ["run 1 due 1"])
        #expect(try driver.task("a").last?.result == .failed)
        driver.pass(.seconds(1))
        driver.end("a", .exited(code: 143))
        driver.pass(.milliseconds(10))
        #expect(driver.take() == ["run 2 due 2", "killed 2 10.0 ms", "run 3 due 2 attempt 2"])
        driver.end("a", .exited(code: 75), wasAsked: true)
        #expect(try driver.task("a").last?.result == .stopped)
    }

    @Test func `A run that takes too long is asked to end once, and the next begins only after its end`() throws {
        var driver = OnceDriver(task(.runNow, timeout: .seconds(30)))
        driver.pass(minute)
        driver.pass(.seconds(29))
        #expect(driver.take() == ["run 1 due 1"])
        driver.pass(.seconds(1))
        #expect(driver.take() == ["late 1", "end a"])
        driver.pass(minute * 2)
        #expect(driver.take() == ["coalesced 1 to 2"])
        #expect(try driver.task("a").status(at: driver.now).state == .ending)
        driver.end("a", killed, wasAsked: true)
        #expect(driver.take() == ["run 2 due 3 covers 2"])
        #expect(try driver.task("a").counters.results == [.timedOut: 1])
    }

    @Test func `Nothing begins beside a process that cannot be collected`() throws {
        var driver = OnceDriver(task(.runNow))
        driver.pass(minute)
        driver.end("a", .lost, isStuck: true)
        driver.pass(minute)
        driver.pass(minute)
        #expect(driver.take().filter { $0.hasPrefix("run") } == ["run 1 due 1"])
        let deadline = try #require(driver.table.deadline(at: driver.now))
        #expect(deadline > driver.now.monotonic)
        driver.stuck = []
        driver.pass(.milliseconds(50))
        #expect(driver.take() == ["run 2 due 3 covers 2"])
    }

    @Test func `An operator has it run at once, unless a run is going`() throws {
        var driver = OnceDriver(task())
        func request() -> String {
            let (living, now) = (driver.living, driver.now)
            let (result, actions) = driver.table.request("a", at: now) { living[$0] == nil }
            driver.perform(actions)
            return switch result {
            case .success(let run): "\(run)"
            case .failure(let refusal): refusal.text
            }
        }
        #expect(request() == "1")
        driver.pass(.seconds(3))
        #expect(request() == "run 1 of a is going (pid 101, since 3.0 s)")
        driver.end("a")
        #expect(driver.take() == ["run 1 due 0"])
        driver.pass(.seconds(57))
        #expect(driver.take() == ["run 2 due 1"])
        try driver.checkCounts("a", begun: 1)
        let stranger = driver.table.request("b", at: driver.now, isFree: { _ in true }).result
        #expect(stranger == .failure(.init(text: "there is no once-task \"b\"")))
        driver.perform(driver.table.hold())
        #expect(request() == "no runs begin any more")
    }

    @Test func `After a stop nothing begins, what has no process is taken back, and limits hold`() throws {
        var driver = OnceDriver(task(timeout: .seconds(30)))
        driver.pass(minute)
        driver.perform(driver.table.hold())
        driver.pass(.seconds(30))
        driver.pass(minute * 5)
        #expect(driver.take() == ["run 1 due 1", "late 1", "end a"])
        driver.end("a", killed, wasAsked: true)
        #expect(driver.take() == [])
        driver = OnceDriver(task())
        driver.refusesForks = true
        driver.pass(minute)
        driver.perform(driver.table.hold())
        #expect(driver.take() == ["run 1 due 1", "end a"])
        driver.refusesForks = false
        driver.perform(driver.table.begin(at: driver.now) { _ in true })
        driver.look()
        #expect(driver.take() == ["run 1 due 1"])
    }

    @Test func `Jitter delays each run by chance, never beyond its bound, and moves no due time`() {
        var delays: Set<Int64> = []
        var driver = OnceDriver(task(jitter: .seconds(10)))
        for number in 1...200 {
            let due = start.monotonic + minute * number
            guard let deadline = driver.table.deadline(at: driver.now) else {
                Issue.record("no deadline")
                return
            }
            let delay = deadline - due
            #expect(delay >= .zero && delay <= .seconds(10))
            delays.insert(delay.saturatedNanoseconds)
            driver.pass(deadline - driver.now.monotonic)
            driver.end("a")
        }
        #expect(delays.count > 150)
        #expect(driver.take().count == 200)
    }

    // The wall clock

    private func hourly(_ misfire: MisfirePolicy = .runNow) throws -> OnceSettings {
        OnceSettings(name: "a", .cron(try CronSchedule("@hourly")), misfire: misfire)
    }

    @Test func `A cron schedule follows the wall clock forward, and by small steps back without a second time`() throws {
        var driver = OnceDriver(try hourly())
        driver.pass(.seconds(3599))
        #expect(driver.take() == [])
        driver.pass(.seconds(1))
        driver.end("a")
        #expect(driver.take() == ["run 1 due 1"])
        // Two hours forward, in no time.
        driver.pass(.seconds(1), wall: .seconds(7201))
        driver.end("a")
        #expect(driver.take() == ["coalesced 1 to 2", "run 2 due 3 covers 2"])
        // Back to where it was.
        driver.pass(.seconds(1), wall: .seconds(-7199))
        for _ in 0..<7 { driver.pass(.seconds(1800)) }
        driver.end("a")
        #expect(driver.take() == ["run 3 due 4"])
    }

    @Test func `A clock that was years ahead begins the schedule anew when it is set right`() throws {
        var driver = OnceDriver(try hourly())
        driver.pass(.seconds(1), wall: .seconds(-4 * 365 * 86_400))
        #expect(driver.take() == ["set back"])
        driver.pass(.seconds(3600))
        #expect(driver.take() == ["run 1 due 1"])
    }

    @Test func `An interval does not care for the wall clock`() throws {
        var driver = OnceDriver(task())
        driver.pass(.seconds(59), wall: .seconds(86_400))
        driver.pass(.milliseconds(500), wall: .seconds(-86_400 * 365))
        #expect(driver.take() == [])
        driver.pass(.milliseconds(500))
        #expect(driver.take() == ["run 1 due 1"])
    }

    @Test func `A clock that jumps over ten thousand due times costs a bounded look`() throws {
        var driver = OnceDriver(OnceSettings(name: "a", .cron(try CronSchedule("* * * * *"))))
        driver.pass(.seconds(1), wall: .seconds(10 * 365 * 86_400))
        #expect(driver.take() == ["coalesced 999 to 999", "run 1 due 1000 covers 1000"])
        driver.end("a")
        driver.pass(minute)
        #expect(driver.take() == ["run 2 due 1001"])
    }

    // Upgrades

    private func hand(_ driver: OnceDriver, to settings: OnceSettings, isAlive: Bool = true) throws -> OnceDriver {
        var inherited = InheritedTargets(spawns: 0)
        inherited.onceTasks = driver.table.records(at: driver.now)
        let read = try #require(InheritedTargets(text: inherited.text))
        #expect(read == inherited)
        var next = OnceDriver()
        next.table = OnceTable(seed: 2)
        next.now = driver.now
        next.living = driver.living
        next.table.add(settings, at: next.now)
        for record in read.onceTasks { next.table.inherited[record.name] = record }
        next.perform(next.table.begin(at: next.now) { _ in isAlive })
        return next
    }

    @Test func `The next image continues a run, its limit, what waits and all counters`() throws {
        var driver = OnceDriver(task(.runEach, timeout: .seconds(90)))
        driver.pass(minute)
        driver.end("a", killed)
        driver.pass(.milliseconds(10))
        driver.pass(minute)
        _ = driver.take()
        let before = try driver.task("a")
        var next = try hand(driver, to: task(.runEach, timeout: .seconds(90)))
        let after = try next.task("a")
        #expect(after.counters == before.counters && after.waiting == before.waiting && after.phase == before.phase)
        #expect(after.dueTimes.count == 2 && after.last == before.last)
        next.pass(.seconds(30))
        #expect(next.take() == ["late 2", "end a"])
        next.end("a", killed, wasAsked: true)
        #expect(next.take() == ["run 3 due 2"])
        next.end("a")
        // The grid of the intervals is that of the program before.
        next.pass(.milliseconds(29_990))
        #expect(next.take() == ["run 4 due 3"])
    }

    @Test func `A run whose process is gone was killed, and one that was not forked yet begins in the next image`() throws {
        var driver = OnceDriver(task())
        driver.pass(minute)
        driver.pass(.seconds(1))
        var next = try hand(driver, to: task(), isAlive: false)
        next.living = [:]
        next.look()
        #expect(next.take() == ["killed 1 0 µs", "run 2 due 1 attempt 2"])
        driver = OnceDriver(task())
        driver.refusesForks = true
        driver.pass(minute)
        next = try hand(driver, to: task())
        next.look()
        #expect(next.take() == ["run 1 due 1"])
    }

    @Test func `Another schedule begins anew, and a task that the program lost is kept for the way back`() throws {
        var driver = OnceDriver(task())
        driver.pass(minute)
        driver.end("a")
        driver.pass(.seconds(50))
        var changed = task()
        changed.schedule = .every(.seconds(20))
        var next = try hand(driver, to: changed)
        next.pass(.seconds(19))
        #expect(next.take() == [])
        next.pass(.seconds(1))
        #expect(next.take() == ["run 2 due 2"])
        var other = task()
        other.name = "b"
        let lost = try hand(driver, to: other)
        #expect(lost.table.records(at: lost.now).map(\.name) == ["b", "a"])
        #expect(lost.table.records(at: lost.now)[1].runs == 1)
    }

    @Test func `A handover of an image without once-tasks is taken, and one that is broken is not`() {
        #expect(InheritedTargets(text: #"{"spawns":0,"records":[],"processes":[]}"#)?.onceTasks == [])
        for tasks in [#"[1]"#, #"[{}]"#, #"[{"name":"a"}]"#, #"["a"]"#] {
            let text = #"{"spawns":0,"records":[],"processes":[],"onceTasks":\#(tasks)}"#
            #expect(InheritedTargets(text: text) == nil, "\(tasks)")
        }
    }

    // In workers

    @Test func `An order has all numbers of its run, another line has none, and an end keeps them`() throws {
        let orders = try OnceOrders(lines: 4)
        let ticket = OnceTicket(run: 1 << 47, due: 7, covers: 3, attempt: 2, scheduled: -5)
        #expect(orders.order(line: 2) == nil)
        orders.begin(ticket, task: 32_767, line: 2)
        #expect(orders.order(line: 2) == .init(ticket: ticket, task: 32_767, mustEnd: false))
        #expect(orders.order(line: 1) == nil && orders.order(line: 3) == nil)
        orders.end(line: 2)
        #expect(orders.order(line: 2) == .init(ticket: ticket, task: 32_767, mustEnd: true))
        orders.clear(line: 2)
        #expect(orders.order(line: 2) == nil)
    }

    @Test func `A worker's answer counts for its own run only, whatever it writes`() {
        #expect(OnceAnswer.code(OnceAnswer.word(run: 5, code: 0), run: 5) == 0)
        #expect(OnceAnswer.code(OnceAnswer.word(run: 5, code: 75), run: 5) == 1)
        var random = SplitMix64(seed: 3)
        for word in [0, 1, .max, 1 << 63] + (0..<1_000).map({ _ in random.next() }) where word >> 1 != 5 {
            #expect(OnceAnswer.code(word, run: 5) == nil)
            #expect(OnceAnswer.code(word, run: 0) == nil)
        }
    }

    // Chance

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `Whatever happens, no task has two processes, and every due time is accounted for`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let policy = [MisfirePolicy.runNow, .runEach, .skip][Int(seed % 3)]
        var driver = OnceDriver(task(policy, timeout: random.below(2) == 0 ? .seconds(30) : nil, jitter: .seconds(2)))
        var begun: Set<UInt64> = []
        for _ in 0..<2_000 {
            switch random.below(9) {
            case 0: driver.end("a")
            case 1: driver.end("a", killed)
            case 2: driver.end("a", .exited(code: 1))
            case 3: driver.end("a", killed, wasAsked: true)
            case 4: driver.refusesForks.toggle()
            case 5: if !driver.refusesForks, case .starting = try driver.task("a").phase { driver.fork("a") }
            case 6: driver.pass(.milliseconds(random.below(200_000)))
            case 7: driver.pass(try #require(driver.table.deadline(at: driver.now)) - driver.now.monotonic)
            default: driver.pass(.milliseconds(random.below(70_000)))
            }
            for line in driver.take() where line.hasPrefix("run") {
                let words = line.split(separator: " ")
                if let due = UInt64(words[3]), due > 0 { begun.insert(due) }
            }
            try driver.checkCounts("a", begun: begun.count)
        }
        #expect(begun.count > 50)
    }
}
