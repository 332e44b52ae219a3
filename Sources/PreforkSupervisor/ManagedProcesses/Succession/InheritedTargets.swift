// Managed processes as they are left to the next image of their program.

import PreforkSystem

/// A child that outlives the image that has forked it, and what it has open there.
protocol InheritedChild {
    /// Another one for each child of its kind.
    var spawn: UInt64 { get }
    /// One of the descriptors that come with the text is its doorbell.
    var hasDoorbell: Bool { get set }
    /// Another one reads its output; nil: its output is not captured.
    var output: OutputPipe.Kind? { get set }
}

/// A managed process that outlives the image that has forked it.
struct InheritedTarget: Equatable, InheritedChild {
    enum Stage: Int64 {
        case serving = 0
        /// It was asked to end, or is not ready yet.
        case leaving = 1
        /// It has said that it crashes.
        case crashed = 2
    }

    var name: String
    var pid: Int32
    var spawn: UInt64
    var generation: Int
    /// Its line of the scoreboard.
    var line: Int
    /// Monotonic nanoseconds.
    var started: Int64
    var stage: Stage
    var wasReady: Bool
    /// The receiving program has forked it itself: it ran here before.
    var isOwn = false
    /// From SIGTERM to SIGKILL.
    var grace: Duration
    var hasDoorbell = false
    var output: OutputPipe.Kind?
}

/// What the next image inherits of a target's history.
struct TargetRecord: Equatable {
    /// How many processes it has had.
    var generation: Int
    var score = TargetRestartHistory()
}

/// What the next image inherits of a manager's targets. As JSON.
struct InheritedTargets: Equatable {
    static let handoverKind = "managed processes"

    var spawns: UInt64
    /// By name.
    var records: [String: TargetRecord] = [:]
    var processes: [InheritedTarget] = []
    var onceTasks: [OnceRecord] = []

    private static let sizeLimit = 1 << 23
    private static let tooMany: Int64 = 1 << 60

    init(spawns: UInt64) {
        self.spawns = spawns
    }

    var text: String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("spawns", Int64(clamping: spawns))
            object.name("records")
            object.array(records.sorted { $0.key < $1.key }) { writer, record in
                writer.object { object in
                    object.member("name", record.key)
                    object.name("words")
                    let words = [Int64(record.value.generation)] + record.value.score.words
                    object.array(words) { $0.value($1) }
                }
            }
            object.name("processes")
            object.array(processes) { writer, process in
                writer.object { object in
                    object.member("name", process.name)
                    object.name("words")
                    object.array(process.words) { $0.value($1) }
                }
            }
            object.name("onceTasks")
            object.array(onceTasks) { $1.write(&$0) }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// - Returns: nil for a text that is none of these.
    init?(text: String) {
        guard let value = try? JSONParser.parse(Array(text.utf8), sizeLimit: Self.sizeLimit),
            let spawns = value["spawns"]?.integer, (0..<Self.tooMany).contains(spawns),
            let records = value["records"]?.array, let processes = value["processes"]?.array
        else { return nil }
        self.spawns = UInt64(spawns)
        for record in records {
            guard let name = record["name"]?.string?.unescaped, let words = record.words, let generation = words.first,
                (0..<Self.tooMany).contains(generation), let score = TargetRestartHistory(words: Array(words.dropFirst()))
            else { return nil }
            self.records[name] = TargetRecord(generation: Int(generation), score: score)
        }
        for process in processes {
            guard let name = process["name"]?.string?.unescaped, let words = process.words,
                let process = InheritedTarget(name: name, words: words), process.spawn <= self.spawns
            else { return nil }
            self.processes.append(process)
        }
        // An image before may not have had any.
        for record in value["onceTasks"]?.array ?? [] {
            guard let record = OnceRecord(record) else { return nil }
            onceTasks.append(record)
        }
        guard Set(self.processes.map(\.spawn)).count == processes.count,
            Set(self.processes.map(\.line)).count == processes.count
        else { return nil }
    }
}

extension InheritedTarget {
    private static let mostNanoseconds: Int64 = 1 << 62

    fileprivate var words: [Int64] {
        let identity = [Int64(pid), Int64(clamping: spawn), Int64(generation), Int64(line), started]
        let grace = min(max(0, grace.saturatedNanoseconds), Self.mostNanoseconds)
        return identity + [
            stage.rawValue, wasReady ? 1 : 0, grace, hasDoorbell ? 1 : 0, Int64(output?.rawValue ?? 0), isOwn ? 1 : 0,
        ]
    }

    /// - Returns: nil for what are no such words.
    fileprivate init?(name: String, words: [Int64]) {
        guard words.count == 11, words.allSatisfy({ (0...Self.mostNanoseconds).contains($0) }),
            let pid = Int32(exactly: words[0]), pid > 0, words[1] > 0, words[2] < 1 << 60,
            words[3] < WorkerCount.maximum, let stage = Stage(rawValue: words[5]), !name.isEmpty
        else { return nil }
        self.init(
            name: name, pid: pid, spawn: UInt64(words[1]), generation: Int(words[2]), line: Int(words[3]),
            started: words[4], stage: stage, wasReady: words[6] == 1, isOwn: words[10] == 1,
            grace: .nanoseconds(words[7]), hasDoorbell: words[8] == 1, output: OutputPipe.Kind(rawValue: Int(words[9])))
    }
}

extension JSONValue {
    fileprivate var words: [Int64]? {
        guard let array = self["words"]?.array else { return nil }
        let numbers = array.compactMap(\.integer)
        return numbers.count == array.count ? numbers : nil
    }
}

/// What a manager has from the previous image. Descriptors: scoreboard, orders, both ends of the lifeline, the
/// doorbells of those processes that have one and what reads their output, each in the order of the text.
struct TargetInheritance {
    let targets: InheritedTargets
    let scoreboard: Int32
    let orders: Int32
    let lifeline: Int32
    let lifelineHold: Int32
    let doorbells: [Int32]
    let outputs: [Int32]

    private static let ownDescriptors = 4

    /// nil: this is the first image of its process, or the one before had no managed processes.
    static func take() -> TargetInheritance? {
        Handover.take(InheritedTargets.handoverKind, key: "").flatMap { TargetInheritance($0) }
    }

    init?(_ item: HandoverItem) {
        guard let targets = InheritedTargets(text: item.text) else { return nil }
        let numbers = item.descriptors
        let bells = targets.processes.count(where: \.hasDoorbell)
        let pipes = targets.processes.count { $0.output != nil }
        guard numbers.count == Self.ownDescriptors + bells + pipes, Set(numbers).count == numbers.count else {
            return nil
        }
        self.targets = targets
        (scoreboard, orders, lifeline, lifelineHold) = (numbers[0], numbers[1], numbers[2], numbers[3])
        doorbells = Array(numbers.dropFirst(Self.ownDescriptors).prefix(bells))
        outputs = Array(numbers.suffix(pipes))
    }
}
