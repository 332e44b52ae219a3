// How a response without an end is served, moves and continues.

import PreforkEventLoop
import PreforkSystem

extension HTTPConnection {
    /// Runs the body of a response whose head was sent, here or by another worker.
    ///
    /// - Parameter form: as the head has said it.
    /// - Returns: whether the connection continues.
    func serve(_ stream: ResumableStream, _ form: StreamState) async throws -> Bool {
        let handover = StreamHandover(isResuming ? form : nil)
        let state = server.takeWriterState()
        state.begin(self, rest: nil, isChunked: form.isChunked, handover)
        handover.onChange = { [unowned self, unowned handover] in
            guard server.mayMove, bodyRest == .none else { return }
            connection.onHandover(handover.closure == nil ? nil : { try self.pack(handover, form, stream) })
        }
        // One that has just moved will have a state.
        if server.mayMove { connection.onHandover(isResuming ? { nil } : nil) }
        let body = Task(executorPreference: loop.preference) { try await stream.body(HTTPBodyWriter(state: state)) }
        let reading = bodyRest == .none ? Task(executorPreference: loop.preference) { await self.waitToMove(body) } : nil
        connection.onDrain {
            handover.isEnding = true
            body.cancel()
        }
        let result = await withTaskCancellationHandler { await body.result } onCancel: { body.cancel() }
        reading?.cancel()
        await reading?.value
        // The closure refers to what the body has.
        (handover.onChange, handover.closure) = (nil, nil)
        connection.onDrain {}
        state.end()
        if connection.isHandedOver {
            served = nil
            throw ConnectionEnd()
        }
        if server.mayMove { connection.onHandover { [unowned self] in pack() } }
        if case .failure(let error) = result {
            // A piece that was cancelled half-way leaves the response without an end.
            guard handover.isEnding, error is CancellationError, !Task.isCancelled, !isBroken else { try breakOff(error) }
            mustClose = true
        }
        if form.isChunked { encodeLastChunk(state.trailers) }
        server.give(state)
        forgetHead()
        return form.keeps && !mustClose
    }

    /// The connection may move while a task waits for what the client sends next. A client that sends a request before it has
    /// this response keeps its connection here.
    private func waitToMove(_ body: Task<Void, any Error>) async {
        while reader.bufferedCount == 0 {
            do {
                guard try await reader.fill(isIdle: false, mayMove: true) else { break }
            } catch is CancellationError where !Task.isCancelled {
                // See `pieceIsOut`.
            } catch {
                // What fails here fails the writes, too.
                break
            }
        }
        if connection.isHandedOver { body.cancel() }
    }

    /// A connection that could not move because of a write is asked again.
    func pieceIsOut() {
        if loop.stopRequest.isRequested { connection.interruptReading() }
    }

    /// - Returns: nil while a write is under way.
    private func pack(
        _ handover: StreamHandover, _ form: StreamState, _ stream: ResumableStream
    ) throws -> HandoverParcel? {
        guard let closure = handover.closure, output.count == 0, !isFlushing else { return nil }
        var (state, form) = (state, form)
        form.head = requestHead
        form.version = stream.versions.upperBound
        form.program = try closure().map { try ConnectionState.encode($0) }
        state.stream = form
        return HandoverParcel(state: state.bytes)
    }

    /// Continues a response that another worker has begun.
    ///
    /// - Returns: whether the connection continues.
    func resume(_ stream: StreamState) async throws -> Bool {
        began = server.turnBegan
        if server.accessLog != nil { served = ServedRequest() }
        defer {
            endMark()
            if served != nil { logServed() }
        }
        let response = try await answerAgain(stream.head)
        guard let response, case .resumable(let body) = response.body.kind else {
            BuiltInMetrics.countMoves("noServer")
            throw ConnectionEnd()
        }
        guard body.versions.contains(stream.version) else {
            BuiltInMetrics.countMoves("version")
            throw ConnectionEnd()
        }
        hasResponse = true
        if served != nil { served?.status = response.status.code }
        let keeps = try await serve(body, stream)
        server.count(requestSince: began)
        if output.count > 0 { try await flush() }
        endRequest()
        return keeps
    }
}
