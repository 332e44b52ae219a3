// The subject of a log line, in fields.

import PreforkSystem

/// The parts of a log line that programs search. Each is nil where it is not known or does not apply.
public struct LogFields: Hashable, Sendable {
    /// The worker's slot, which is its task ID.
    public var worker: Int?
    /// The name of a managed process.
    public var process: String?
    /// The process ID of that worker or managed process.
    public var pid: Int32?
    /// The generation of that worker or managed process. The first one is 1.
    public var generation: Int?
    /// The name of the signal that ended it, as `SIGSEGV`.
    public var signal: String?
    /// The code with which it ended.
    public var exitCode: Int32?
    /// The kind of event, in one or two words that stay the same: `ends`, `hangs`, `output`.
    public var cause: String?

    /// Fields of a line about no particular process: all nil.
    public init() {}

    init(_ owner: OutputOwner, pid: Int32, cause: LogEvent) {
        switch owner {
        case .worker(let slot): worker = slot
        case .target(let name): process = name
        case .spare: break
        }
        self.pid = pid
        self.cause = cause.rawValue
    }

    init(pid: Int32, generation: Int? = nil) {
        self.pid = pid
        self.generation = generation
    }

    init(pid: Int32, generation: Int, _ status: ExitStatus) {
        self.pid = pid
        self.generation = generation
        switch status {
        case .exited(let code): exitCode = code
        case .signaled(let signal, _): self.signal = "\(signal)"
        case .lost: break
        }
    }

    /// Adds what the cause of the line says.
    mutating func add(_ cause: LogCause) {
        switch cause {
        case .own: break
        case .worker(let slot, let event):
            worker = worker ?? slot
            self.cause = self.cause ?? event.rawValue
        case .target(let name, let event):
            process = process ?? name
            self.cause = self.cause ?? event.rawValue
        case .pool(let event): self.cause = self.cause ?? event.rawValue
        }
    }
}

extension LogLine {
    /// The line as it is written, with its end.
    ///
    /// - Parameter toJournal: the journal adds time, process ID and level to each line, from the stream and the line's
    ///   prefix. An object keeps its members.
    package func written(
        _ format: LogFormat, at timestamp: String, pid: Int32, toJournal: Bool = false
    ) -> String {
        if toJournal {
            let rest = format == .text ? "\(text)\n" : json(at: timestamp, supervisor: pid)
            return JournalStream.prefix(ofLevel: level.rawValue) + rest
        }
        return switch format {
        case .text: written(at: timestamp, pid: pid)
        case .json: json(at: timestamp, supervisor: pid)
        }
    }

    private func json(at timestamp: String, supervisor: Int32) -> String {
        var writer = JSONWriter(reserving: 256 + text.utf8.count)
        writer.object { object in
            object.member("time", timestamp)
            object.member("level", level.rawValue)
            object.member("supervisor", supervisor)
            object.member("message", text)
            if let worker = fields.worker { object.member("worker", worker) }
            if let process = fields.process { object.member("process", process) }
            if let pid = fields.pid { object.member("pid", pid) }
            if let generation = fields.generation { object.member("generation", generation) }
            if let signal = fields.signal { object.member("signal", signal) }
            if let code = fields.exitCode { object.member("exitCode", code) }
            if let cause = fields.cause { object.member("cause", cause) }
        }
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }
}
