// Once-tasks as they are left to the next image of their program.

import PreforkSystem

/// What the next image inherits of a task. A part of `InheritedTargets`, so that the process of a run and the run
/// itself are handed over by one text.
struct OnceRecord: Equatable {
    struct Running: Equatable {
        var ticket: OnceTicket
        var pid: Int32
        /// Monotonic nanoseconds.
        var began: Int64
        var isLate: Bool
    }

    var name: String
    /// See `key(of:)`.
    var schedule: String
    var dueTimes: UInt64 = 0
    var anchor: Int64?
    var nextSecond: Int64?
    var runs: UInt64 = 0
    var counters = OnceCounters()
    var waiting: [OnceTicket] = []
    var running: Running?
    var last: OnceRunReport?
    var lastSuccess: Int64?

    init(name: String, schedule: String) {
        self.name = name
        self.schedule = schedule
    }

    /// Another text for each schedule. A task whose schedule the new program has changed begins it anew.
    static func key(of schedule: OnceSchedule) -> String {
        switch schedule {
        case .every(let interval): "every \(interval.saturatedNanoseconds)"
        case .aligned(let interval): "aligned \(interval.saturatedNanoseconds)"
        case .cron(let schedule): "cron \(schedule.text)"
        }
    }
}

extension OnceRecord {
    private static let limit: Int64 = 1 << 60

    func write(_ writer: inout JSONWriter) {
        writer.object { object in
            object.member("name", name)
            object.member("schedule", schedule)
            object.member("dueTimes", Int64(clamping: dueTimes))
            object.member("anchor", anchor)
            object.member("nextSecond", nextSecond)
            object.member("runs", Int64(clamping: runs))
            object.name("counters")
            object.array(counterWords) { $0.value($1) }
            object.member("elsewhere", counters.results[.elsewhere].map { Int64(clamping: $0) })
            object.member("noLease", counters.results[.noLease].map { Int64(clamping: $0) })
            object.name("waiting")
            object.array(waiting) { writer, ticket in writer.array(ticket.words) { $0.value($1) } }
            object.name("running")
            object.array(running?.words ?? []) { $0.value($1) }
            object.name("last")
            object.array(last?.words ?? []) { $0.value($1) }
            object.member("lastStatus", last?.status)
            object.member("lastResult", last?.result.rawValue)
            object.member("lastSuccess", lastSuccess)
        }
    }

    private var counterWords: [Int64] {
        OnceResult.first.map { Int64(clamping: counters.results[$0] ?? 0) }
            + [Int64(clamping: counters.coalesced), Int64(clamping: counters.skipped),
               counters.duration.saturatedNanoseconds]
    }

    /// - Returns: nil for what is no such record.
    init?(_ value: JSONValue) {
        func number(_ name: String) -> Int64? {
            value[name]?.integer.flatMap { (0..<Self.limit).contains($0) ? $0 : nil }
        }
        guard let name = value["name"]?.string?.unescaped, let schedule = value["schedule"]?.string?.unescaped,
            let dueTimes = number("dueTimes"), let runs = number("runs"), let words = value["counters"]?.numbers,
            words.count == OnceResult.first.count + 3, words.allSatisfy({ (0..<Self.limit).contains($0) }),
            let rows = value["waiting"]?.array, rows.count <= OnceTask.mostWaiting + 2,
            let running = value["running"]?.numbers, let last = value["last"]?.numbers
        else { return nil }
        self.init(name: name, schedule: schedule)
        self.dueTimes = UInt64(dueTimes)
        self.runs = UInt64(runs)
        anchor = number("anchor")
        nextSecond = number("nextSecond")
        lastSuccess = number("lastSuccess")
        for (result, count) in zip(OnceResult.first, words) where count > 0 {
            counters.results[result] = UInt64(count)
        }
        counters.results[.elsewhere] = number("elsewhere").map { UInt64($0) }
        counters.results[.noLease] = number("noLease").map { UInt64($0) }
        counters.coalesced = UInt64(words[words.count - 3])
        counters.skipped = UInt64(words[words.count - 2])
        counters.duration = .nanoseconds(words[words.count - 1])
        for row in rows {
            guard let ticket = row.numbers.flatMap(OnceTicket.init(words:)) else { return nil }
            waiting.append(ticket)
        }
        if !running.isEmpty {
            guard let read = Running(words: running) else { return nil }
            self.running = read
        }
        if !last.isEmpty {
            let status = value["lastStatus"]?.string?.unescaped ?? ""
            guard let read = OnceRunReport(words: last, status: status) else { return nil }
            self.last = read
            let result = value["lastResult"]?.string.flatMap { OnceResult(rawValue: $0.unescaped) }
            if let result { self.last?.result = result }
        }
    }
}

extension JSONValue {
    fileprivate var numbers: [Int64]? {
        guard let array else { return nil }
        let numbers = array.compactMap(\.integer)
        return numbers.count == array.count ? numbers : nil
    }
}

extension OnceTicket {
    fileprivate static let wordCount = 5

    fileprivate var words: [Int64] {
        [Int64(clamping: run), Int64(clamping: due), Int64(clamping: covers), Int64(attempt), scheduled]
    }

    fileprivate init?(words: [Int64]) {
        guard words.count == Self.wordCount, words.prefix(4).allSatisfy({ (0..<1 << 60).contains($0) })
        else { return nil }
        self.init(
            run: UInt64(words[0]), due: UInt64(words[1]), covers: UInt64(words[2]), attempt: Int(words[3]),
            scheduled: words[4])
    }
}

extension OnceRecord.Running {
    fileprivate var words: [Int64] { ticket.words + [Int64(pid), began, isLate ? 1 : 0] }

    fileprivate init?(words: [Int64]) {
        guard words.count == OnceTicket.wordCount + 3,
            let ticket = OnceTicket(words: Array(words.prefix(OnceTicket.wordCount))),
            let pid = Int32(exactly: words[OnceTicket.wordCount]), pid > 0, words[OnceTicket.wordCount + 1] >= 0
        else { return nil }
        self.init(ticket: ticket, pid: pid, began: words[OnceTicket.wordCount + 1], isLate: words.last == 1)
    }
}

extension OnceRunReport {
    fileprivate var words: [Int64] {
        // A result that older versions do not know is one that they do, and has its name besides.
        let index = OnceResult.first.firstIndex(of: result) ?? OnceResult.first.count - 1
        return ticket.words + [Int64(pid), Int64(index), duration.saturatedNanoseconds, time]
    }

    fileprivate init?(words: [Int64], status: String) {
        let rest = words.dropFirst(OnceTicket.wordCount)
        guard words.count == OnceTicket.wordCount + 4,
            let ticket = OnceTicket(words: Array(words.prefix(OnceTicket.wordCount))),
            let pid = rest.first.flatMap({ Int32(exactly: $0) }),
            let index = Int(exactly: rest[rest.startIndex + 1]), OnceResult.first.indices.contains(index)
        else { return nil }
        self.init(
            ticket: ticket, pid: pid, result: OnceResult.first[index], status: status,
            duration: .nanoseconds(rest[rest.startIndex + 2]), time: rest[rest.startIndex + 3])
    }
}
