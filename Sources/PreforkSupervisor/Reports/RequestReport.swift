// Requests that a worker had in hand, for the log, the hooks and operators.

public import PreforkSystem

/// A request that a worker had in hand, or a message of a connection without marked requests.
///
/// All of it is the worker's own word: a worker that was taken over can report what it likes.
public struct RequestReport: Equatable, Sendable {
    /// The most requests that are reported of one worker's end.
    public static let most = 16

    /// If nil, it is a message of a connection without a marked request.
    package var text: ForeignText?
    /// Since it began.
    public var age: Duration
    /// Its code ran at that moment. Otherwise it waited for something.
    public var isExecuting: Bool
    /// The trace to which the request belongs. If nil, its mark named no trace.
    public var trace: TraceID?
    /// The client. If nil, it is not known.
    public var peer: SocketAddress?
    /// The bytes that had been read from its connection. If nil, the number is not known.
    public var bytesRead: UInt64?

    /// The label of `Worker.request`, without control characters. If nil, it is a connection's message.
    public var label: String? { text?.escaped(for: .log) }

    init(_ record: RequestRecord, at now: MonotonicInstant) {
        text = record.label
        age = now - record.start
        isExecuting = record.isExecuting
        trace = record.trace
        peer = record.peer
        bytesRead = record.bytesRead
    }
}

/// What a worker has in hand at one look.
struct RequestsInHand: Equatable, Sendable {
    private static let mostNamed = 3

    /// At most `RequestReport.most`, in the order of `RequestRingReading.records`.
    var requests: [RequestReport] = []
    /// Of all, those without a report included.
    var count = 0

    init() {}

    init(_ reading: RequestRingReading, at now: MonotonicInstant) {
        requests = reading.records.prefix(RequestReport.most).map { RequestReport($0, at: now) }
        count = reading.count
    }

    init(of report: ExitReport) {
        requests = report.requests
        count = report.requestCount
    }

    /// For a line of the log: the innermost that executes, then how many there are besides, and the oldest of them.
    /// Empty without any.
    var sentence: String {
        let executing = requests.first.flatMap { $0.isExecuting ? $0 : nil }
        let rest = executing == nil ? requests[...] : requests.dropFirst()
        let others = max(count - (executing == nil ? 0 : 1), rest.count)
        var parts = executing.map { [$0.sentence] } ?? []
        if others > 0 {
            let oldest = rest.filter { !$0.isExecuting }.prefix(Self.mostNamed).map(\.sentence)
            let names = oldest.isEmpty ? "" : ", the oldest: " + oldest.joined(separator: "; ")
            parts.append("\(others) \(executing == nil ? "" : "more ")in flight" + names)
        }
        return parts.joined(separator: "; ")
    }
}

extension RequestReport {
    /// `"/reports" executing for 1.2 s, from 127.0.0.1:4711, trace 4bf9...`
    var sentence: String {
        var words = text.map { "\"\($0.escaped(for: .log))\"" } ?? "a message"
        words += " \(isExecuting ? "executing" : "waiting") for \(age.short)"
        if let peer { words += ", from \(peer)" }
        if text == nil, let bytesRead { words += ", \(bytesRead) bytes read" }
        if let trace { words += ", trace \(trace)" }
        return words
    }
}

extension ExitReport {
    mutating func had(_ hand: RequestsInHand) {
        requests = hand.requests
        requestCount = hand.count
    }
}
