// What the connections of one server share.

import PreforkEventLoop
import PreforkSystem

/// The options and the handler of a server, and what its connections lend one another. On the loop's thread only.
final class HTTPServer: @unchecked Sendable {
    // Sendable: everything mutable is touched on the loop's thread, where every connection of the server runs.
    let options: HTTPServerOptions
    let loop: EventLoop
    let report: @Sendable (ServingEvent) -> Void
    let handler: @Sendable (HTTPRequest) async throws -> HTTPResponse
    /// Where requests are marked. nil outside of workers.
    let marks: RequestRing?
    let accounting: RequestAccounting?
    /// Whether connections may move to the next worker, which has the same server. See `resumption`.
    let mayMove: Bool
    /// Connections of which a head must come.
    private let heads: DeadlineQueue
    /// Kept connections.
    private let kept: DeadlineQueue

    /// nil where no access log is written.
    // Unchecked exclusivity, here and below. Proof: each access is one call of a value's method or one assignment, and
    // nothing that is called meanwhile comes back to the server.
    @exclusivity(unchecked) var accessLog: AccessLogWriter?

    /// The storage that was given back last. Most requests end before the next one begins.
    @exclusivity(unchecked) private var spare: RequestStorage?
    @exclusivity(unchecked) private var storages: [RequestStorage] = []
    @exclusivity(unchecked) private var writerState: HTTPBodyWriter.State?
    @exclusivity(unchecked) private var dateSecond = -1
    /// The head of a response of status 200 up to its date, with the date's line.
    @exclusivity(unchecked) private(set) var beginOfOK: [UInt8] = []
    private static let statusLine: StaticString = "HTTP/1.1 200 OK\r\n"

    init(
        _ options: HTTPServerOptions, on loop: EventLoop, mayMove: Bool = false,
        report: @escaping @Sendable (ServingEvent) -> Void,
        _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) throws(SystemError) {
        try options.check()
        self.options = options
        self.loop = loop
        self.mayMove = mayMove
        self.report = report
        self.handler = handler
        marks = loop.requests
        accounting = loop.accounting
        if let form = AccessLog.form {
            accessLog = AccessLogWriter(form, taskID: TaskIdentity.current?.taskID)
            loop.watchAccessLog()
        }
        heads = DeadlineQueue(loop, options.headTimeout, .head)
        kept = DeadlineQueue(loop, options.keepAliveTimeout, .idle)
    }

    /// The connection waits for its first request, or for the rest of a head.
    @inline(__always)
    func awaitsHead(_ connection: HTTPConnection) { Self.append(connection, to: heads) }

    /// The connection waits for its next request.
    @inline(__always)
    func awaitsRequest(_ connection: HTTPConnection) { Self.append(connection, to: kept) }

    /// A queue's timer refers weakly to it. Each reference to such an object that is counted takes seven times as long
    /// (the side table of RefCount.h), so that none is.
    @inline(__always)
    private static func append(_ connection: HTTPConnection, to queue: DeadlineQueue) {
        // Proof: the server keeps its queues, and the connection keeps the server.
        Unmanaged.passUnretained(queue)._withUnsafeGuaranteedRef { $0.append(connection) }
    }

    /// A request was answered that has begun then.
    @inline(__always)
    func count(requestSince began: MonotonicInstant) {
        guard let accounting else { return }
        // Proof: the server keeps it.
        Unmanaged.passUnretained(accounting)._withUnsafeGuaranteedRef { $0.count(requestSince: began) }
    }

    /// Where neither the time that a request takes is counted nor a line of it written, nothing is read.
    @inline(__always)
    var turnBegan: MonotonicInstant {
        if let marks { return marks.turnBegan }
        return accessLog == nil && accounting == nil ? MonotonicInstant(nanoseconds: 0) : .now
    }

    /// A connection has bytes of a request: it takes what the request is kept in.
    ///
    /// - Parameter place: holds nil.
    @inline(__always)
    func lend(to place: inout RequestStorage?) {
        // By a swap, because each copy of a reference is an atomic addition and subtraction.
        swap(&place, &spare)
        if place == nil { place = storages.popLast() ?? makeStorage() }
    }

    @inline(never)
    private func makeStorage() -> RequestStorage {
        RequestStorage(RequestParser(headLimit: options.headLimit, fieldLimit: options.fieldLimit))
    }

    /// - Parameter place: refers to a storage that nothing else refers to, or holds nil, which it does afterwards.
    @inline(__always)
    func takeBack(from place: inout RequestStorage?) {
        swap(&place, &spare)
        if place != nil { keep(&place) }
    }

    @inline(never)
    private func keep(_ place: inout RequestStorage?) {
        if let storage = place, storages.count < 64 { storages.append(storage) }
        place = nil
    }

    /// What a body's writer refers to. One that no program has kept serves response after response.
    func takeWriterState() -> HTTPBodyWriter.State {
        guard isKnownUniquelyReferenced(&writerState), let state = writerState else {
            return HTTPBodyWriter.State(loop: loop)
        }
        writerState = nil
        return state
    }

    /// The response is over.
    func give(_ state: HTTPBodyWriter.State) { writerState = state }

    /// Makes the line of the date, once a second.
    @inline(__always)
    func updateDate() {
        let second = WallClock.second
        if second != dateSecond { makeDate(second) }
    }

    @inline(never)
    private func makeDate(_ second: Int) {
        dateSecond = second
        beginOfOK = Array(Self.statusLine.bytes) + Array("Date: ".utf8)
        beginOfOK += HTTPDate.bytes(secondsSince1970: second)
        beginOfOK += [.cr, .lf]
    }

    /// The line of the date alone.
    var dateLine: ArraySlice<UInt8> { beginOfOK[Self.statusLine.utf8CodeUnitCount...] }
}
