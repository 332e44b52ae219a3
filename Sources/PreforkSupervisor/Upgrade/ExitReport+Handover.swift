// Reports of ends as they are left to the next image of the program.

import PreforkSystem

extension JSONWriter {
    /// All of a report, for `ExitReport(handover:)`. Operators see a shorter form.
    mutating func handover(_ report: ExitReport) {
        object { object in
            object.member("slot", report.taskID)
            object.member("pid", report.pid)
            object.member("generation", report.generation)
            object.member("uptime", report.uptime.saturatedNanoseconds)
            object.name("status")
            object.array(report.status.words) { $0.value($1) }
            object.member("wasReady", report.wasReady)
            object.member("killReason", report.killReason.map { "\($0)" })
            object.member("outOfMemory", report.outOfMemory)
            object.name("crash")
            if let crash = report.crash { object.handover(crash) } else { object.null() }
            object.name("hangStack")
            object.array(report.hangStack) { $0.handover($1) }
            object.member("hadRequest", report.hadRequest)
            object.name("requests")
            object.array(report.requests) { $0.handover($1) }
            object.member("requestCount", report.requestCount)
            object.member("isCounted", report.isCounted)
            object.member("time", report.time)
            object.name("lines")
            if let words = report.lastWords { object.array(words.lines) { $0.value($1) } } else { object.null() }
            object.member("message", report.lastWords?.message)
            object.member("userTime", report.usage.userTime.saturatedNanoseconds)
            object.member("systemTime", report.usage.systemTime.saturatedNanoseconds)
            object.member("peakMemory", report.usage.peakMemory)
            object.name("consequence")
            object.array(report.consequence.words) { $0.value($1) }
        }
    }

    private mutating func handover(_ crash: CrashReport) {
        object { object in
            object.member("signal", crash.signal.rawValue)
            object.member("code", crash.code)
            object.member("address", Int64(bitPattern: crash.address))
            object.member("thread", crash.thread)
            object.name("frames")
            object.array(crash.frames) { $0.handover($1) }
        }
    }

    private mutating func handover(_ frame: StackFrame) {
        object { object in
            object.member("address", Int64(bitPattern: frame.address))
            object.member("module", frame.module)
            object.member("base", Int64(bitPattern: frame.base))
            object.name("buildID")
            object.array(frame.buildID) { $0.value($1) }
            object.member("symbol", frame.symbol)
            object.member("offset", Int64(bitPattern: frame.offset))
        }
    }

    private mutating func handover(_ request: RequestReport) {
        object { object in
            object.member("label", request.text?.unescaped)
            object.member("age", request.age.saturatedNanoseconds)
            object.member("isExecuting", request.isExecuting)
            object.member("high", request.trace.map { Int64(bitPattern: $0.high) })
            object.member("low", request.trace.map { Int64(bitPattern: $0.low) })
            object.member("peer", request.peer?.handoverText)
            object.member("bytesRead", request.bytesRead.map { Int64(clamping: $0) })
        }
    }
}

extension JSONValue {
    fileprivate func flag(_ name: String) -> Bool { self[name]?.bool ?? false }

    fileprivate func text(_ name: String) -> String? { self[name]?.string?.unescaped }

    fileprivate func number<Number: FixedWidthInteger>(_ name: String) -> Number? {
        self[name]?.integer.flatMap { Number(exactly: $0) }
    }

    fileprivate func duration(_ name: String) -> Duration? { self[name]?.integer.map { .nanoseconds($0) } }

    fileprivate func bits(_ name: String) -> UInt64 { UInt64(bitPattern: self[name]?.integer ?? 0) }

    fileprivate func numbers(_ name: String) -> [Int64] { (self[name]?.array ?? []).compactMap(\.integer) }

    fileprivate func list<Element>(_ name: String, _ element: (JSONValue) -> Element?) -> [Element] {
        (self[name]?.array ?? []).compactMap(element)
    }
}

extension ExitReport {
    /// - Returns: nil for what is no report.
    init?(handover value: JSONValue) {
        guard let taskID: Int = value.number("slot"), let pid: Int32 = value.number("pid"),
            let generation: Int = value.number("generation"), let uptime = value.duration("uptime"),
            let status = ExitStatus(words: value.numbers("status")),
            let consequence = ExitConsequence(words: value.numbers("consequence"))
        else { return nil }
        self.taskID = taskID
        self.pid = pid
        self.generation = generation
        self.uptime = uptime
        self.status = status
        self.consequence = consequence
        wasReady = value.flag("wasReady")
        killReason = KillReason.all.first { "\($0)" == value.text("killReason") }
        usage = ResourceUsage(
            userTime: value.duration("userTime") ?? .zero, systemTime: value.duration("systemTime") ?? .zero,
            peakMemory: value.number("peakMemory") ?? 0)
        outOfMemory = value.flag("outOfMemory")
        crash = value["crash"].flatMap { CrashReport(handover: $0) }
        hangStack = value.list("hangStack") { StackFrame(handover: $0) }
        hadRequest = value.flag("hadRequest")
        requests = value.list("requests") { RequestReport(handover: $0) }
        requestCount = value.number("requestCount") ?? 0
        isCounted = value.flag("isCounted")
        time = value.text("time") ?? ""
        if value["lines"]?.array != nil {
            lastWords = LastWords(message: value.text("message"), lines: value.list("lines") { $0.string?.unescaped })
        }
    }
}

extension CrashReport {
    fileprivate init?(handover value: JSONValue) {
        guard let signal: Int32 = value.number("signal"), let code: Int32 = value.number("code"),
            let thread: Int32 = value.number("thread")
        else { return nil }
        self.init(
            signal: Signal(rawValue: signal), code: code, address: value.bits("address"), thread: thread,
            frames: value.list("frames") { StackFrame(handover: $0) })
    }
}

extension StackFrame {
    fileprivate init?(handover value: JSONValue) {
        guard value["address"]?.integer != nil else { return nil }
        self.init(
            address: value.bits("address"), module: value.text("module"), base: value.bits("base"),
            buildID: value.numbers("buildID").compactMap { UInt8(exactly: $0) }, symbol: value.text("symbol"),
            offset: value.bits("offset"))
    }
}

extension RequestReport {
    fileprivate init?(handover value: JSONValue) {
        guard let age = value.duration("age") else { return nil }
        text = value["label"]?.string
        self.age = age
        isExecuting = value.flag("isExecuting")
        trace = value["high"]?.integer == nil ? nil : TraceID(high: value.bits("high"), low: value.bits("low"))
        peer = value.text("peer").flatMap { SocketAddress(handoverText: $0) }
        bytesRead = value.number("bytesRead")
    }
}

extension KillReason {
    fileprivate static let all: [KillReason] = [
        .bootTimeout, .drainTimeout, .stopNow, .hung, .asked, .oldGeneration, .crashed,
    ]
}

extension ExitStatus {
    /// The kind, the code or signal, and whether there is a core file.
    fileprivate var words: [Int64] {
        switch self {
        case .exited(let code): [0, Int64(code)]
        case .signaled(let signal, let coreDumped): [1, Int64(signal.rawValue), coreDumped ? 1 : 0]
        case .lost: [2]
        }
    }

    fileprivate init?(words: [Int64]) {
        switch (words.first, words.count) {
        case (0, 2): self = .exited(code: Int32(clamping: words[1]))
        case (1, 3): self = .signaled(Signal(rawValue: Int32(clamping: words[1])), coreDumped: words[2] == 1)
        case (2, 1): self = .lost
        default: return nil
        }
    }
}

extension ExitConsequence {
    /// The kind, and what belongs to it.
    fileprivate var words: [Int64] {
        switch self {
        case .none: [0]
        case .restart(let delay, let number): [1, delay.saturatedNanoseconds, Int64(number)]
        case .giveUp(.startFailed): [2, 1]
        case .giveUp: [2, 0]
        }
    }

    fileprivate init?(words: [Int64]) {
        switch (words.first, words.count) {
        case (0, 1): self = .none
        case (1, 3): self = .restart(in: .nanoseconds(words[1]), number: Int(clamping: words[2]))
        // A pool that has given up is not upgraded: the two are distinguished only for completeness.
        case (2, 2): self = .giveUp(words[1] == 1 ? .startFailed : .tooManyRestarts)
        default: return nil
        }
    }
}
