// Marks for the requests of a worker: what its supervisor tells of a crash, a hang, or when an operator asks.

import PreforkEventLoop
import PreforkSupervisor
public import PreforkSystem

/// A mark is a slot in memory that the worker shares with its supervisor, with a label, the start and, if wanted, the
/// ID of a trace. It costs some nanoseconds and no system call. The report of a crash or a hang names what was
/// executing and what was in flight, and `preforkctl requests` what every worker does at the moment.
///
/// A request is executing while its code runs on the worker's event loop, and a request with a synchronous body until
/// that body returns. An asynchronous request that waits, or that runs elsewhere than on the loop, is in flight.
/// Requests of child tasks are found by the task that has begun the request.
///
/// A worker has room for 32 requests that are marked on its loop, and for 16 of other threads. Further ones are
/// counted, and of those the last is named. Connections that `Listener.serve` accepts are marked by themselves while
/// they have a message in hand.
///
/// Marks count nothing for `RecyclingPolicy.requests` and the metrics: that is `countRequest` alone, so that no request
/// is counted twice.
extension Worker {
    /// Begins a request that ends with `RequestMark.end()`, for code that is no single call, as handlers of SwiftNIO.
    /// From any thread.
    ///
    /// On the event loop's thread the request has the start of the loop's present turn, and the call costs stores only.
    /// Elsewhere it reads the clock. A mark that never ends stays in the reports, and its slot is taken, until the
    /// worker ends.
    ///
    /// - Parameters:
    ///   - label: what reports call it, 128 bytes of it.
    ///   - trace: the trace that the request belongs to, or nil.
    ///   - options: see `RequestOptions`.
    /// - Throws: `.quarantined` when requests of this label are refused.
    @inlinable
    public func beginRequest(
        _ label: some RequestLabel, trace: TraceID? = nil, options: RequestOptions = []
    ) throws(RequestError) -> RequestMark {
        try label.beginRequest(in: self, trace: trace, options: options, executes: false)
    }

    /// As `beginRequest` with a string.
    public func beginRequest(
        _ label: Span<UInt8>, trace: TraceID? = nil, options: RequestOptions = []
    ) throws(RequestError) -> RequestMark {
        try label.withUnsafeBytes { bytes throws(RequestError) in try begin(bytes, trace, options, false) }
    }

    /// Runs `body` as one request.
    ///
    /// - Parameters:
    ///   - label: what reports call it, 128 bytes of it.
    ///   - trace: the trace that the request belongs to, or nil.
    ///   - options: see `RequestOptions`.
    /// - Throws: what `body` throws, unchanged. `RequestError` (`.quarantined`) if requests of this label are refused.
    ///   `body` was not called then.
    @inlinable
    public func request<Result>(
        _ label: some RequestLabel, trace: TraceID? = nil, options: RequestOptions = [],
        _ body: () throws -> Result
    ) throws -> Result {
        let mark = try label.beginRequest(in: self, trace: trace, options: options, executes: true)
        defer { mark.end() }
        return try body()
    }

    /// Runs an asynchronous `body` as one request, on its caller's executor. See `request`.
    // Disfavoured: a synchronous body in an asynchronous function means the form above.
    @_disfavoredOverload
    @inlinable
    public func request<Result>(
        _ label: some RequestLabel, trace: TraceID? = nil, options: RequestOptions = [],
        _ body: () async throws -> Result
    ) async throws -> Result {
        let mark = try label.beginRequest(in: self, trace: trace, options: options, executes: false)
        defer { mark.end() }
        return try await body()
    }

    /// Runs `body` as one request, or calls `refused` where requests of this label are refused. Errors keep their type.
    ///
    /// - Parameters:
    ///   - label: what reports call it, 128 bytes of it.
    ///   - trace: the trace that the request belongs to, or nil.
    ///   - options: see `RequestOptions`.
    ///   - refused: makes the answer to a request that must not run.
    @inlinable
    public func request<Result, Failure: Error>(
        _ label: some RequestLabel, trace: TraceID? = nil, options: RequestOptions = [],
        refused: (RequestError) throws(Failure) -> Result, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let mark: RequestMark
        do throws(RequestError) {
            mark = try label.beginRequest(in: self, trace: trace, options: options, executes: true)
        } catch {
            return try refused(error)
        }
        defer { mark.end() }
        return try body()
    }

    /// The same for an asynchronous `body`.
    @_disfavoredOverload
    @inlinable
    public func request<Result, Failure: Error>(
        _ label: some RequestLabel, trace: TraceID? = nil, options: RequestOptions = [],
        refused: (RequestError) throws(Failure) -> Result, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        let mark: RequestMark
        do throws(RequestError) {
            mark = try label.beginRequest(in: self, trace: trace, options: options, executes: false)
        } catch {
            return try refused(error)
        }
        defer { mark.end() }
        return try await body()
    }

    @inline(__always)
    func begin(
        _ label: UnsafeRawBufferPointer, _ trace: TraceID?, _ options: RequestOptions, _ executes: Bool
    ) throws(RequestError) -> RequestMark {
        if !quarantine.isEmpty { try refuse(label, options) }
        return requests.begin(
            label, includesQuery: options.contains(.includesQuery), trace: trace, executes: executes)
    }

    /// - Throws: for a label in quarantine.
    @inline(never)
    private func refuse(_ label: UnsafeRawBufferPointer, _ options: RequestOptions) throws(RequestError) {
        if let refusal = handle.refusal(of: label, includesQuery: options.contains(.includesQuery)) {
            throw RequestError(.quarantined, retryAfter: refusal.retryAfter)
        }
    }
}

extension WorkerHandle {
    /// - Returns: nil unless the label is in quarantine. If it is, the refusal was counted and reported.
    fileprivate func refusal(
        of label: UnsafeRawBufferPointer, includesQuery: Bool
    ) -> RequestAccounting.Refusal? {
        guard let entry = quarantine.entry(of: label, includesQuery: includesQuery) else { return nil }
        countRefusal()
        let text = ForeignText(decoding: entry.label).escaped(for: .log)
        StandardErrorLines.say("warning", "request \"\(text)\" is refused: it is in quarantine", by: "quarantine")
        return RequestAccounting.Refusal(retryAfter: entry.until.map { max(.zero, $0 - .now) })
    }

    /// For servers on the worker's loop that mark and count requests by themselves.
    var accounting: RequestAccounting {
        RequestAccounting(
            quarantine: quarantine, durations: requestDurations,
            counted: { [self] in countRequests(UInt64($0)) },
            refused: { [self] in refusal(of: $0, includesQuery: false) })
    }
}
