// The supervisor's state as JSON.

import PreforkSystem

/// What workers use, by process ID. Empty unless a client has asked.
typealias WorkerUsage = [Int32: ProcessUsage]

extension JSONWriter {
    /// A line on the control socket.
    static func line(_ members: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(reserving: 1024)
        writer.object { object in
            object.member("ok", true)
            members(&object)
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    static func failure(_ reason: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { object in
            object.member("ok", false)
            object.member("error", reason)
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    static func outcome(_ outcome: ControlOutcome) -> [UInt8] {
        switch outcome {
        case .done(let text): line { $0.member("message", text) }
        case .failed(let reason): failure(reason)
        }
    }
}

extension JSONWriter {
    mutating func status(
        _ status: PoolStatus, _ usage: WorkerUsage, of delegate: any ControlDelegate
    ) {
        object { object in
            object.member("supervisor", status.supervisor)
            object.member("uptime", status.uptime)
            object.member("phase", status.phase.rawValue)
            object.member("generation", status.generation)
            object.member("target", status.target)
            object.member("ready", status.readyWorkers)
            object.member("spares", status.spares)
            object.member("minimum", status.range?.lowerBound)
            object.member("maximum", status.range?.upperBound)
            object.member("restarts", status.restarts)
            object.member("restartLimit", status.restartLimit)
            object.member("requestCrashes", status.requestCrashes)
            object.member("programTarget", status.programTarget)
            object.name("program")
            if let program = status.program { object.programs(program) } else { object.null() }
            object.name("reload")
            if let reload = status.reload { object.reload(reload) } else { object.null() }
            object.name("workers")
            object.workers(status.workers, usage)
            object.name("managed")
            object.array(delegate.managedProcesses()) { $0.managed($1) }
            object.name("tasks")
            object.array(delegate.onceTasks()) { $0.onceTask($1) }
            object.sharedObjects(delegate.sharedObjects())
        }
    }

    private mutating func managed(_ status: TargetStatus) {
        object { object in
            object.member("name", status.name)
            object.member("pid", status.pid)
            object.member("generation", status.generation)
            object.member("state", status.word)
            object.member("missingDependency", status.missingDependency)
            object.member("restarts", status.restarts)
            object.name("lastExit")
            guard let exit = status.lastExit else { return object.null() }
            object.object { object in
                object.member("status", "\(exit.status)")
                object.member("wasReady", exit.wasReady)
                object.member("killReason", exit.killReason.map { "\($0)" })
            }
        }
    }

    private mutating func programs(_ programs: ProgramStatus) {
        object { object in
            object.name("running")
            object.program(programs.running)
            object.name("previous")
            if let previous = programs.previous { object.program(previous) } else { object.null() }
            object.member("upgradePath", programs.upgradePath)
            object.name("changes")
            object.array(programs.changes) { $0.value($1) }
        }
    }

    mutating func workers(_ workers: [WorkerStatus], _ usage: WorkerUsage) {
        array(workers) { writer, worker in writer.worker(worker, worker.pid.flatMap { usage[$0] }) }
    }

    mutating func reports(_ reports: [ExitReport]) {
        array(reports) { $0.report($1, withWords: true) }
    }

    mutating func listeners(_ listeners: [ListenerStatus]) {
        array(listeners) { writer, listener in
            writer.object { object in
                object.member("address", listener.address)
                object.member("waiting", listener.waiting)
                object.member("limit", listener.limit)
            }
        }
    }

    /// Two members of an answer.
    mutating func requests(_ list: InFlightRequests) {
        name("requests")
        array(list.rows) { writer, row in
            writer.object { object in
                object.member("slot", row.slot)
                object.member("pid", row.pid)
                object.request(row.request)
            }
        }
        member("leftOut", list.leftOut)
    }

    /// A member of an answer.
    mutating func quarantine(_ list: [QuarantineStatus]) {
        name("quarantine")
        array(list) { writer, entry in
            writer.object { object in
                object.member("label", entry.label.unescaped)
                object.member("remaining", entry.remaining)
                object.member("crashes", entry.crashes)
            }
        }
    }

    /// The members of a request.
    private mutating func request(_ request: RequestReport) {
        member("label", request.text?.unescaped)
        member("age", request.age)
        member("executing", request.isExecuting)
        member("trace", request.trace.map { "\($0)" })
        member("peer", request.peer.map { "\($0)" })
        member("bytesRead", request.bytesRead)
    }

    private mutating func reload(_ reload: PoolStatus.Reload) {
        object { object in
            object.member("state", reload.state.rawValue)
            object.member("generation", reload.generation)
            object.member("replaced", reload.replaced)
            object.member("total", reload.total)
            object.member("reason", reload.reason)
            object.member("duration", reload.duration)
        }
    }

    private mutating func worker(_ worker: WorkerStatus, _ usage: ProcessUsage?) {
        object { object in
            object.member("slot", worker.slot)
            object.member("pid", worker.pid)
            object.member("generation", worker.generation)
            object.member("state", worker.state.rawValue)
            object.member("beside", worker.isBeside)
            object.member("uptime", worker.uptime)
            object.member("restarts", worker.restarts)
            object.member("requests", worker.requests)
            object.member("connections", worker.connections)
            object.member("heartbeatAge", worker.heartbeatAge)
            object.member("stalled", worker.isStalled)
            object.name("blocking")
            object.object { object in
                object.member("threads", worker.blocking.threads)
                object.member("busy", worker.blocking.busy)
                object.member("queued", worker.blocking.queued)
            }
            object.member("rss", usage?.resident)
            object.member("cpu", usage?.processorTime)
            object.name("lastExit")
            if let report = worker.lastExit { object.report(report, withWords: false) } else { object.null() }
        }
    }

    /// - Parameter withWords: what it said last, too: some KiB, and a status has a report for each worker.
    private mutating func report(_ report: ExitReport, withWords: Bool) {
        object { object in
            object.member("slot", report.taskID)
            object.member("pid", report.pid)
            object.member("generation", report.generation)
            object.member("uptime", report.uptime)
            object.member("status", "\(report.status)")
            object.member("returnCode", report.status.returnCode)
            object.member("wasReady", report.wasReady)
            object.member("kind", report.kind.rawValue)
            object.member("killReason", report.killReason.map { "\($0)" })
            object.member("outOfMemory", report.outOfMemory)
            object.name("requests")
            object.array(report.requests) { writer, request in writer.object { $0.request(request) } }
            object.member("requestCount", report.requestCount)
            object.member("cpu", report.usage.userTime + report.usage.systemTime)
            object.member("peakMemory", report.usage.peakMemory)
            object.member("consequence", report.consequence.word)
            object.name("crash")
            if let crash = report.crash { object.crash(crash) } else { object.null() }
            object.name("hangStack")
            object.array(report.hangStack) { writer, frame in writer.frame(frame) }
            object.member("crashed", report.isCrash)
            object.member("time", report.time)
            if !withWords { return }
            object.name("lastWords")
            if let words = report.lastWords { object.lastWords(words) } else { object.null() }
        }
    }

    private mutating func lastWords(_ words: LastWords) {
        object { object in
            object.member("message", words.message)
            object.name("lines")
            object.array(words.lines) { $0.value($1) }
        }
    }

    private mutating func crash(_ crash: CrashReport) {
        object { object in
            object.member("signal", "\(crash.signal)")
            object.member("code", crash.code)
            object.member("address", Self.hexadecimal(crash.address))
            object.member("thread", crash.thread)
            object.name("frames")
            object.array(crash.frames) { writer, frame in writer.frame(frame) }
        }
    }

    private mutating func frame(_ frame: StackFrame) {
        object { object in
            object.member("address", Self.hexadecimal(frame.address))
            guard let module = frame.module else { return }
            object.member("module", module)
            object.member("base", Self.hexadecimal(frame.base))
            object.member("buildID", frame.buildID.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())
            object.member("symbol", frame.symbol.map(CodePlace.readable))
            object.member("offset", Self.hexadecimal(frame.offset))
        }
    }

    /// As text: JSON's readers keep 53 bits of a number.
    private static func hexadecimal(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
}

extension PoolStatus {
    /// Workers that serve: those that are ready, the one beside an old one included.
    var readyWorkers: Int {
        workers.count { $0.state == .ready }
    }
}

extension ExitConsequence {
    fileprivate var word: String {
        switch self {
        case .none: "none"
        case .restart: "restart"
        case .giveUp: "giveUp"
        }
    }
}

extension TargetStatus {
    fileprivate var word: String {
        switch phase {
        case .stopped: isCompleted ? "done" : "stopped"
        case .starting: "starting"
        case .running: "running"
        case .stopping: "stopping"
        case .backoff: "backingOff"
        case .failed: "failed"
        }
    }
}
