// Managed processes of the image before and their successors, event by event, without a process.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

private let success = ProcessExit(status: .exited(code: 0), usage: ResourceUsage())
private let failure = ProcessExit(status: .exited(code: 3), usage: ResourceUsage())

/// A table that has inherited processes, with a clock and the forks that the runner would carry out.
private struct SuccessionDriver {
    var table = TargetTable(seed: 1)
    var now = MonotonicInstant(nanoseconds: 1_000_000_000)
    /// What has been done, in short.
    var done: [String] = []
    private var nextPID: Int32 = 100

    /// - Parameters:
    ///   - elders: spawns 1, 2 and so on.
    ///   - own: up to which spawn the program has forked them itself.
    init(elders: [String], own: UInt64 = 0, _ stage: InheritedTarget.Stage = .serving) {
        var inherited = InheritedTargets(spawns: UInt64(elders.count))
        for (index, name) in elders.enumerated() {
            inherited.processes.append(
                InheritedTarget(
                    name: name, pid: Int32(index) + 1, spawn: UInt64(index) + 1, generation: 4, line: index, started: 0,
                    stage: stage, wasReady: true, isOwn: index < own, grace: .seconds(10)))
            inherited.records[name] = TargetRecord(generation: 4)
        }
        table.inherit(inherited, at: now)
    }

    mutating func add(_ name: String, _ succession: TargetSuccession, needs: [String] = []) throws {
        var settings = TargetSettings(name: name)
        settings.succession = succession
        settings.dependencies = needs
        settings.onFailure = .restart(RestartPolicy())
        _ = try table.add(settings)
        _ = try? table.plan()
    }

    mutating func begin(onProbation: Bool = true) {
        table.succession.isOnProbation = onProbation
        table.succession.patience = .seconds(60)
        for target in table.inOrder { handle(.start(target.number)) }
        handle(.successionBegan)
    }

    mutating func handle(_ event: TargetEvent) {
        for action in table.handle(event, at: now) {
            switch action {
            case .fork(let number, let spawn, let generation):
                guard table.isToBeForked(number, at: now) else { continue }
                nextPID += 1
                done.append("fork \(table.targets[number]?.name ?? "?") \(generation)")
                handle(.forked(number, pid: nextPID, spawn: spawn))
            case .askElder(_, let name, let order): done.append("ask \(name) \(order)")
            case .killElder(let spawn): done.append("kill \(spawn)")
            case .adopt(let number, let spawn): done.append("adopt \(table.targets[number]?.name ?? "?") \(spawn)")
            case .signal(let number, let signal): done.append("\(signal) \(table.targets[number]?.name ?? "?")")
            case .hooks(let number, let order, let deadline):
                handle(.proceed(number, order, deadline: deadline, isPrevented: false))
            default: break
            }
        }
    }

    mutating func ready(_ name: String) {
        guard let target = table[name], let process = target.state.process else { return }
        handle(.ready(target.number, spawn: process.spawn))
    }

    mutating func exit(_ name: String, _ exit: ProcessExit) {
        if let target = table[name] { handle(.exited(target.number, exit)) }
    }

    mutating func elderEnds(_ spawn: UInt64, _ exit: ProcessExit = success) {
        handle(.elderExited(spawn: spawn, exit, TargetEndNotes()))
    }

    mutating func take() -> [String] {
        defer { done = [] }
        return done
    }
}

@Suite(.timeLimit(.minutes(2))) struct TargetSuccessionTests {
    @Test func `The process of a once-task runs on, starts with no other target, and fails no upgrade`() throws {
        var driver = SuccessionDriver(elders: ["task"])
        var settings = TargetSettings(name: "task")
        settings.isOnceTask = true
        let number = try driver.table.add(settings)
        try driver.add("b", .stopFirst, needs: ["task"])
        driver.table.succession.isOnProbation = true
        driver.handle(.start(try #require(driver.table["b"]).number))
        driver.handle(.successionBegan)
        driver.now = driver.now + .seconds(3600)
        driver.handle(.tick)
        #expect(driver.take() == [] && driver.table.isBusy)
        driver.elderEnds(1, failure)
        driver.handle(.start(number))
        #expect(driver.take() == ["fork task 5"])
        driver.exit("task", failure)
        #expect(!driver.table.hasFailedSuccessor)
        driver.handle(.control(number, code: 1))
        #expect(driver.take() == [] && driver.table["task"]?.ignoredCodes == 1)
        driver.handle(.committed)
        #expect(driver.take() == [])
    }

    @Test func `One after the other, in the order of what they need, new first or old first`() throws {
        var driver = SuccessionDriver(elders: ["a", "b"])
        // Added the other way round.
        try driver.add("b", .stopFirst, needs: ["a"])
        try driver.add("a", .newFirst)
        driver.begin()
        #expect(driver.take() == ["fork a 5"])
        #expect(driver.table.isSucceeding && driver.table.status(of: driver.table["b"]!).pid == 2)
        driver.ready("a")
        #expect(driver.take().sorted() == ["ask a succeeded", "ask b makeRoom"])
        driver.elderEnds(1)
        #expect(driver.take().isEmpty)
        driver.elderEnds(2)
        #expect(driver.take() == ["fork b 5"])
        #expect(driver.table.isSucceeding)
        driver.ready("b")
        #expect(!driver.table.isSucceeding && driver.table.succession.failure == nil)
        #expect(driver.table.nextDeadline == nil)
    }

    @Test func `An elder that does not end within its grace is killed`() throws {
        var driver = SuccessionDriver(elders: ["a"])
        try driver.add("a", .stopFirst)
        driver.begin()
        #expect(driver.take() == ["ask a makeRoom"])
        driver.now = try #require(driver.table.nextDeadline)
        driver.handle(.tick)
        #expect(driver.take() == ["kill 1"])
        driver.elderEnds(1)
        #expect(driver.take() == ["fork a 5"])
    }

    @Test func `A successor that fails while there is a way back is told, and no other one is begun`() throws {
        var driver = SuccessionDriver(elders: ["a", "b"])
        try driver.add("a", .newFirst)
        try driver.add("b", .newFirst)
        driver.begin()
        driver.exit("a", failure)
        #expect(driver.table.succession.failure?.contains("a failed its probation") == true)
        #expect(driver.take().filter { $0.contains("b") }.isEmpty)
        #expect(driver.table.succession.elders.values.allSatisfy { $0.stage == .serving })
    }

    @Test func `Without a way back it is tried again, and others have their turn`() throws {
        var driver = SuccessionDriver(elders: ["a", "b"])
        try driver.add("a", .newFirst)
        try driver.add("b", .newFirst)
        driver.begin(onProbation: false)
        driver.exit("a", failure)
        #expect(driver.take() == ["fork a 5", "fork a 6", "fork b 5"])
        #expect(driver.table.succession.failure == nil && driver.table.succession.elders.count == 2)
    }

    @Test func `One that takes longer than the boot timeout has failed`() throws {
        var driver = SuccessionDriver(elders: ["a"])
        try driver.add("a", .newFirst)
        driver.begin()
        driver.now = try #require(driver.table.nextDeadline)
        driver.handle(.tick)
        #expect(driver.table.succession.failure?.contains("boot timeout") == true)
        #expect(driver.table.nextDeadline == nil)
    }

    @Test func `What the program has not any more ends when there is no way back`() throws {
        var driver = SuccessionDriver(elders: ["gone"])
        try driver.add("new", .stopFirst)
        driver.begin()
        driver.ready("new")
        #expect(driver.take() == ["fork new 1"])
        driver.handle(.committed)
        #expect(driver.take() == ["ask gone giveUp"])
        #expect(driver.table.isBusy)
    }

    @Test func `A program that has come back goes on with its own, and replaces the others`() throws {
        var driver = SuccessionDriver(elders: ["a", "b"], own: 1)
        try driver.add("a", .stopFirst)
        try driver.add("b", .stopFirst)
        driver.begin(onProbation: false)
        #expect(driver.take() == ["adopt a 1", "ask b makeRoom"])
        #expect(driver.table["a"]?.state.phase == .running && driver.table["a"]?.generation == 4)
        driver.elderEnds(2)
        #expect(driver.take() == ["fork b 5"])
        // A stop reaches them all.
        driver.handle(.stopAll(within: nil))
        #expect(driver.take() == ["SIGTERM b", "SIGTERM a"])
    }

    @Test func `An elder that ends before its turn has a successor`() throws {
        var driver = SuccessionDriver(elders: ["a", "b"])
        try driver.add("a", .newFirst)
        try driver.add("b", .stopFirst)
        driver.begin()
        driver.elderEnds(2, failure)
        #expect(driver.take() == ["fork a 5", "fork b 5"])
        #expect(driver.table.succession.failure == nil)
    }

    @Test func `A stop ends old and new ones`() throws {
        var driver = SuccessionDriver(elders: ["a", "b"])
        try driver.add("a", .newFirst)
        try driver.add("b", .stopFirst)
        driver.begin()
        _ = driver.take()
        driver.handle(.stopAll(within: nil))
        #expect(driver.take() == ["SIGTERM a", "ask b leave", "ask a leave"])
        driver.elderEnds(1)
        driver.elderEnds(2)
        driver.exit("a", success)
        #expect(!driver.table.isBusy && !driver.table.isStoppingAll)
    }

    @Test func `Those that were leaving, and those that had crashed, are waited for or not`() throws {
        for (stage, isWaitedFor) in [(InheritedTarget.Stage.leaving, true), (.crashed, false)] {
            var driver = SuccessionDriver(elders: ["a"], stage)
            try driver.add("a", .stopFirst)
            driver.begin()
            #expect(driver.take() == (isWaitedFor ? [] : ["fork a 5"]))
            driver.elderEnds(1, failure)
            #expect(driver.take() == (isWaitedFor ? ["fork a 5"] : []))
        }
    }

    /// Whatever comes in whatever order: no state traps, and a stop of all ends all.
    @Test(arguments: 0..<100) func `Any order of events ends in rest after a stop`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let names = ["a", "b", "c"]
        var driver = SuccessionDriver(elders: names + ["gone"], own: UInt64.random(in: 0...2, using: &random))
        for name in names {
            let needs = name == "a" || Bool.random(using: &random) ? [] : ["a"]
            try driver.add(name, Bool.random(using: &random) ? .newFirst : .stopFirst, needs: needs)
        }
        driver.begin(onProbation: Bool.random(using: &random))
        for _ in 0..<100 {
            let name = names.randomElement(using: &random)!
            switch Int.random(in: 0..<8, using: &random) {
            case 0: driver.ready(name)
            case 1: driver.exit(name, [success, failure].randomElement(using: &random)!)
            case 2: driver.elderEnds(UInt64.random(in: 1...4, using: &random), failure)
            case 3: driver.handle(.committed)
            case 4: driver.handle(.control(driver.table.numbers[name]!, code: UInt8.random(in: 0...1, using: &random)))
            case 5: driver.handle(.start(driver.table.numbers[name]!))
            case 6: driver.handle(.stop(driver.table.numbers[name]!, within: nil))
            default:
                driver.now = driver.now + .milliseconds(Int64.random(in: 0...5_000, using: &random))
                driver.handle(.tick)
            }
        }
        driver.handle(.stopAll(within: .zero))
        for spawn in driver.table.succession.elders.keys.sorted() { driver.elderEnds(spawn) }
        for name in names { driver.exit(name, success) }
        #expect(!driver.table.isBusy, "seed \(seed)")
    }

    @Test func `What is handed over survives its text, and nonsense is refused`() throws {
        var inherited = InheritedTargets(spawns: 9)
        var random = SplitMix64(seed: 3)
        var score = TargetRestartHistory()
        _ = score.judge(
            wasReady: true, uptime: .seconds(1), at: MonotonicInstant(nanoseconds: 5), policy: RestartPolicy(),
            using: &random)
        inherited.records = ["a b\u{1B}\"": TargetRecord(generation: 7, score: score), "c": TargetRecord(generation: 0)]
        inherited.processes = [
            InheritedTarget(
                name: "a b\u{1B}\"", pid: 77, spawn: 3, generation: 7, line: 2, started: 5, stage: .leaving,
                wasReady: true, isOwn: true, grace: .seconds(1 << 40), hasDoorbell: true, output: .socket),
            InheritedTarget(
                name: "c", pid: 78, spawn: 9, generation: 1, line: 3, started: 6, stage: .crashed, wasReady: false,
                grace: .zero),
        ]
        var read = try #require(InheritedTargets(text: inherited.text))
        #expect(read.processes[0].grace > .seconds(1_000_000))
        read.processes[0].grace = inherited.processes[0].grace
        #expect(read == inherited)
        let text = inherited.text
        for (part, other) in [
            ("\"spawns\":9", "\"spawns\":2"), ("[78,9,", "[78,3,"), ("[77,3,7,2,", "[77,3,7,3,"), ("[77,", "[0,"),
            ("[77,", "[-1,"), ("\"c\"", "\"\""), ("[", "{"),
        ] { #expect(InheritedTargets(text: text.replacing(part, with: other)) == nil, "\(part) \(other)") }
        let item = HandoverItem(
            kind: InheritedTargets.handoverKind, key: "", descriptors: [3, 4, 5, 6, 7, 8], text: inherited.text)
        let taken = try #require(TargetInheritance(item))
        #expect(taken.doorbells == [7] && taken.outputs == [8] && taken.lifelineHold == 6)
        for numbers: [Int32] in [[], [3, 4, 5, 6, 7], [3, 4, 5, 6, 7, 7], [3, 4, 5, 6, 7, 8, 9]] {
            var bad = item
            bad.descriptors = numbers
            #expect(TargetInheritance(bad) == nil)
        }
    }
}
