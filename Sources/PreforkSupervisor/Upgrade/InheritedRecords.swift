// A pool's counters, as the next image of its program inherits them.

import PreforkSystem

/// Counters, restart scores and reports that an upgrade does not set back. As JSON: an image that knows a counter more
/// begins it at zero.
struct InheritedRecords: Equatable {
    static let handoverKind = "records"

    var counters = PoolCounters()
    /// Restarts after a crash in a request that do not count.
    var requestCrashes = 0
    /// The number of workers that an operator wants. If nil, the program's number counts.
    var scaledTo: Int?
    /// What slots remember of their workers' ends, by task ID.
    var slots: [Int: RestartHistory] = [:]
    /// The last ends, oldest first.
    var ends: [ExitReport] = []
    /// When processes were asked to end.
    var asked: [Int32: MonotonicInstant] = [:]

    private static let sizeLimit = 1 << 23
    private static let mostRestarts = 1 << 60

    var item: HandoverItem {
        HandoverItem(kind: Self.handoverKind, key: "", descriptors: [], text: text)
    }

    var text: String {
        var writer = JSONWriter()
        writer.object { object in
            object.name("counters")
            object.object { $0.counters(counters) }
            object.member("requestCrashes", requestCrashes)
            object.member("scaledTo", scaledTo)
            object.name("slots")
            object.rows(slots.sorted { $0.key < $1.key }.map { [Int64($0.key)] + $0.value.words })
            object.name("ends")
            object.array(ends) { $0.handover($1) }
            object.name("asked")
            object.rows(asked.sorted { $0.key < $1.key }.map { [Int64($0.key), $0.value.nanoseconds] })
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    init() {}

    /// - Returns: nil if the text has another form.
    init?(text: String) {
        guard let value = try? JSONParser.parse(Array(text.utf8), sizeLimit: Self.sizeLimit),
            let members = value["counters"], let counters = PoolCounters(members),
            let crashes = value["requestCrashes"]?.integer, (0..<Int64(Self.mostRestarts)).contains(crashes),
            let slots = value["slots"]?.rows, let asked = value["asked"]?.rows
        else { return nil }
        self.counters = counters
        requestCrashes = Int(crashes)
        if let count = value["scaledTo"], count != .null {
            guard let count = count.integer, (1...Int64(WorkerCount.maximum)).contains(count) else { return nil }
            scaledTo = Int(count)
        }
        for row in slots {
            guard let taskID = row.first, (0..<Int64(WorkerCount.maximum)).contains(taskID),
                let record = RestartHistory(words: Array(row.dropFirst()))
            else { return nil }
            self.slots[Int(taskID)] = record
        }
        for end in value["ends"]?.array ?? [] {
            guard let report = ExitReport(handover: end) else { return nil }
            ends.append(report)
        }
        for row in asked {
            guard row.count == 2, let pid = Int32(exactly: row[0]), pid > 0, row[1] >= 0 else { return nil }
            self.asked[pid] = MonotonicInstant(nanoseconds: row[1])
        }
    }

    /// The records that the previous image has left.
    ///
    /// - Returns: nil when it has left nothing, being of a version that did not.
    static func take() -> InheritedRecords? {
        Handover.take(handoverKind, key: "").flatMap { InheritedRecords(text: $0.text) }
    }

    /// In a trial: whether this image could continue with them.
    static var areReadable: Bool {
        guard let item = Handover.take(handoverKind, key: "") else { return true }
        return InheritedRecords(text: item.text) != nil
    }
}

extension CounterNote {
    var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.object { object in
            object.name("own")
            object.object { $0.counters(own) }
            if let shown {
                object.name("shown")
                object.object { $0.counters(shown) }
            }
        }
        return writer.bytes
    }

    /// - Returns: nil for what is no note.
    init?(bytes: [UInt8]) {
        guard let value = try? JSONParser.parse(bytes, sizeLimit: 1 << 17), let own = value["own"],
            let counters = PoolCounters(own)
        else { return nil }
        self.init(own: counters, shown: value["shown"].flatMap { PoolCounters($0) })
    }
}

extension PoolCounters {
    /// What workers that live count by themselves, and a page has shown, is not lost with them.
    mutating func raise(to shown: PoolCounters) {
        retiredRequests = max(retiredRequests, shown.retiredRequests)
        refusedRequests = max(refusedRequests, shown.refusedRequests)
        if shown.requestDurations.count > requestDurations.count { requestDurations = shown.requestDurations }
    }
}

extension JSONWriter {
    fileprivate mutating func counters(_ counters: PoolCounters) {
        member("retiredRequests", Int64(clamping: counters.retiredRequests))
        member("failedForks", Int64(clamping: counters.failedForks))
        member("finishedReloads", Int64(clamping: counters.finishedReloads))
        member("abortedReloads", Int64(clamping: counters.abortedReloads))
        member("crashedWorkers", Int64(clamping: counters.crashedWorkers))
        member("crashedManagedProcesses", Int64(clamping: counters.crashedManagedProcesses))
        member("slowRequests", Int64(clamping: counters.slowRequests))
        member("loopStalls", Int64(clamping: counters.loopStalls))
        member("quarantinedLabels", Int64(clamping: counters.quarantinedLabels))
        member("refusedRequests", Int64(clamping: counters.refusedRequests))
        member("lostOutputBytes", Int64(clamping: counters.lostOutputBytes))
        member("lostOutputLines", Int64(clamping: counters.lostOutputLines))
        name("requestDurations")
        array(counters.requestDurations.words) { $0.value(Int64(clamping: $1)) }
        name("boots")
        array(counters.boots.words) { $0.value($1) }
        name("drains")
        array(counters.drains.words) { $0.value($1) }
        name("restarts")
        pairs(counters.restarts)
        name("restartKinds")
        pairs(Dictionary(uniqueKeysWithValues: counters.restartKinds.map { ($0.key.rawValue, $0.value) }))
    }

    private mutating func pairs(_ counts: [String: UInt64]) {
        array(counts.sorted { $0.key < $1.key }) { writer, count in
            writer.object { object in
                object.member("name", count.key)
                object.member("count", Int64(clamping: count.value))
            }
        }
    }

    fileprivate mutating func rows(_ rows: [[Int64]]) {
        array(rows) { writer, row in writer.array(row) { $0.value($1) } }
    }
}

extension JSONValue {
    fileprivate var integers: [Int64]? {
        guard let array else { return nil }
        let numbers = array.compactMap(\.integer)
        return numbers.count == array.count ? numbers : nil
    }

    fileprivate var rows: [[Int64]]? {
        guard let array else { return nil }
        let rows = array.compactMap(\.integers)
        return rows.count == array.count ? rows : nil
    }

    /// A count. A missing one is zero.
    fileprivate func count(_ name: String) -> UInt64? {
        guard let value = self[name] else { return 0 }
        return value.integer.flatMap { UInt64(exactly: $0) }
    }

    /// A count that the first images of this format did not have.
    fileprivate func laterCount(_ name: String) -> UInt64? { self[name] == nil ? 0 : count(name) }

    fileprivate func counts(_ name: String) -> [String: UInt64]? {
        var counts: [String: UInt64] = [:]
        for pair in self[name]?.array ?? [] {
            guard let name = pair["name"]?.string?.unescaped, let count = pair.count("count"), count > 0 else {
                return nil
            }
            counts[name] = count
        }
        return counts
    }
}

extension PoolCounters {
    fileprivate init?(_ value: JSONValue) {
        guard let requests = value.count("retiredRequests"), let forks = value.count("failedForks"),
            let finished = value.count("finishedReloads"), let aborted = value.count("abortedReloads"),
            let crashedWorkers = value.laterCount("crashedWorkers"),
            let crashedManagedProcesses = value.laterCount("crashedManagedProcesses"),
            let slowRequests = value.laterCount("slowRequests"),
            let loopStalls = value.laterCount("loopStalls"),
            let quarantined = value.laterCount("quarantinedLabels"),
            let refused = value.laterCount("refusedRequests"), let lostBytes = value.laterCount("lostOutputBytes"),
            let lostLines = value.laterCount("lostOutputLines"),
            let durations = HistogramCounts(requests: value["requestDurations"]?.integers ?? []),
            let boots = DurationHistogram(words: value["boots"]?.integers ?? []),
            let drains = DurationHistogram(words: value["drains"]?.integers ?? []),
            let restarts = value.counts("restarts"), let kinds = value.counts("restartKinds")
        else { return nil }
        retiredRequests = requests
        failedForks = forks
        finishedReloads = finished
        abortedReloads = aborted
        self.crashedWorkers = crashedWorkers
        self.crashedManagedProcesses = crashedManagedProcesses
        self.slowRequests = slowRequests
        self.loopStalls = loopStalls
        quarantinedLabels = quarantined
        refusedRequests = refused
        lostOutputBytes = lostBytes
        lostOutputLines = lostLines
        requestDurations = durations
        self.boots = boots
        self.drains = drains
        self.restarts = restarts
        for (name, count) in kinds {
            // Another version may tell more kinds apart.
            if let kind = ExitReport.Kind(rawValue: name) { restartKinds[kind] = count }
        }
    }
}

extension DurationHistogram {
    /// The sum in nanoseconds, then the ranges.
    fileprivate var words: [Int64] { [sum.saturatedNanoseconds] + counts.map { Int64(clamping: $0) } }

    /// Without words, and of another version with other ranges, it is an empty one.
    fileprivate init?(words: [Int64]) {
        guard words.allSatisfy({ $0 >= 0 }) else { return nil }
        guard words.count == Self.bounds.count + 2 else { return }
        sum = .nanoseconds(words[0])
        counts = words.dropFirst().map { UInt64($0) }
    }
}

extension HistogramCounts {
    /// The sum, then the ranges. Without words, and of another version with other ranges, it is an empty one.
    fileprivate init?(requests words: [Int64]) {
        let ranges = Scoreboard.requestDurations
        guard words.allSatisfy({ $0 >= 0 }) else { return nil }
        self.init(ranges, words: words.count == ranges.count + 1 ? words.map { UInt64($0) } : [])
    }
}

extension Pool {
    /// What slots and the pool remember of their workers' ends.
    func leave(to records: inout InheritedRecords) {
        records.requestCrashes = requestCrashes
        records.scaledTo = scaledTo
        for slot in slots where slot.record != RestartHistory() { records.slots[slot.taskID] = slot.record }
    }

    /// After `inherit(_:scaledTo:at:)`.
    mutating func inherit(_ records: InheritedRecords) {
        requestCrashes = records.requestCrashes
        for (taskID, record) in records.slots where slots.indices.contains(taskID) { slots[taskID].record = record }
    }
}
