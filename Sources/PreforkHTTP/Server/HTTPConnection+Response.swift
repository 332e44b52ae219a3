// How a response becomes bytes.

import PreforkEventLoop
import PreforkSystem

extension HTTPConnection {
    /// A body up to this is copied behind its head: cheaper than to gather both.
    private static let copiedLimit = 8 * 1024
    /// The longest status line, the date, a length and a connection's option.
    private static let headRoom = 256

    /// How the end of a response's body shows.
    private enum Framing {
        /// No body, and no word of a length.
        case none
        case length(Int)
        case chunked
        /// To a client of HTTP/1.0.
        case untilEnd
    }

    /// Puts a whole response into the output, if its body is there and small.
    ///
    /// - Returns: whether the connection continues. nil if `send` must do it.
    func encode(_ response: HTTPResponse) -> Bool? {
        switch response.body.kind {
        case .empty: return encode(response, UnsafeRawBufferPointer(start: nil, count: 0))
        case .text(let text):
            // Nil only for a string that is no UTF-8 inside, which Linux has not. `withUTF8` would need a copy.
            let keeps = text.utf8.withContiguousStorageIfAvailable { encode(response, UnsafeRawBufferPointer($0)) }
            return keeps ?? encode(response, Array(text.utf8))
        case .bytes(let bytes): return encode(response, bytes)
        case .stream, .transfer, .upgrade, .webSocket, .resumable: return nil
        }
    }

    private func encode(_ response: HTTPResponse, _ body: [UInt8]) -> Bool? {
        body.withUnsafeBytes { encode(response, $0) }
    }

    private func encode(_ response: HTTPResponse, _ body: UnsafeRawBufferPointer) -> Bool? {
        guard body.count <= Self.copiedLimit, !response.status.isInformational else { return nil }
        let keeps = keepsConnection(after: response)
        encodeHead(response.status, response.fields, .length(body.count), keeps: keeps, andRoomFor: body.count)
        if body.count > 0, !isWithoutBody(response.status) {
            output.append(body)
            if served != nil { served?.bodyBytes = body.count }
        }
        return keeps
    }

    /// Sends a response that is large, or made while it is sent.
    ///
    /// - Returns: whether the connection continues.
    func send(_ response: HTTPResponse) async throws -> Bool {
        switch response.body.kind {
        case .upgrade(let name, let serve): return try await upgrade(to: name, response.fields, serve)
        case .webSocket(let opening):
            if server.mayMove { keepHead() }
            return try await upgrade(to: "websocket", response.fields) { [self] in
                try await serve(opening, on: $0)
            }
        case _ where response.status.isInformational:
            return try fail(HTTPError(.badStatus(response.status)))
        case .empty: return try await send(response, [])
        case .text(let text): return try await send(response, Array(text.utf8))
        case .bytes(let bytes): return try await send(response, bytes)
        case .transfer(let count, let body):
            guard count >= 0 else { return try fail(HTTPError(.wrongLength(expected: count))) }
            let keeps = keepsConnection(after: response)
            encodeHead(response.status, response.fields, .length(count), keeps: keeps)
            if isWithoutBody(response.status) || count == 0 { return keeps }
            do {
                try await body(HTTPTransfer(connection: self))
            } catch {
                try breakOff(error)
            }
            return keeps
        case .stream(let count, let body): return try await stream(response, count, body)
        case .resumable(let body): return try await begin(response, body)
        }
    }

    private func send(_ response: HTTPResponse, _ bytes: [UInt8]) async throws -> Bool {
        let keeps = keepsConnection(after: response)
        encodeHead(response.status, response.fields, .length(bytes.count), keeps: keeps)
        if !isWithoutBody(response.status) {
            try await flush(with: bytes)
            if served != nil { served?.bodyBytes = bytes.count }
        }
        return keeps
    }

    func stream(
        _ response: HTTPResponse, _ count: Int?, _ body: @Sendable (HTTPBodyWriter) async throws -> Void
    ) async throws -> Bool {
        if let count, count < 0 { return try fail(HTTPError(.wrongLength(expected: count))) }
        let isChunked = count == nil && flags.contains(.isHTTP11)
        let framing: Framing = count.map { .length($0) } ?? (isChunked ? .chunked : .untilEnd)
        let isOpenEnded = count == nil && !isChunked
        let keeps = keepsConnection(after: response, mayReadBody: true) && !isOpenEnded
        let (earlier, sends) = (output.count, sendCount)
        encodeHead(response.status, response.fields, framing, keeps: keeps)
        if isWithoutBody(response.status) { return keeps }
        // The head need not wait for a body that takes its time.
        flushSoon()
        let state = server.takeWriterState()
        state.begin(self, rest: count, isChunked: isChunked)
        do {
            defer { state.end() }
            try await body(HTTPBodyWriter(state: state))
            if let rest = state.rest, rest > 0, let count { throw HTTPError(.wrongLength(expected: count)) }
        } catch {
            guard sends == sendCount, !isBroken else { try breakOff(error) }
            // Nothing has gone out yet: the client gets a proper response instead.
            output.removeLast(output.count - earlier)
            hasResponse = false
            mustClose = true
            let response = try self.response(to: error)
            return encode(response) ?? false
        }
        if isChunked { encodeLastChunk(state.trailers) }
        server.give(state)
        return keeps && !mustClose
    }

    /// Sends the head of a response that may move, and then its body.
    private func begin(_ response: HTTPResponse, _ body: ResumableStream) async throws -> Bool {
        let isChunked = flags.contains(.isHTTP11)
        let keeps = keepsConnection(after: response) && isChunked
        encodeHead(response.status, response.fields, isChunked ? .chunked : .untilEnd, keeps: keeps)
        if isWithoutBody(response.status) { return keeps }
        if server.mayMove { keepHead() }
        try await flush()
        return try await serve(body, StreamState(keeps: keeps, isChunked: isChunked))
    }

    func encodeLastChunk(_ trailers: HTTPFields) {
        // Clients that did not ask for trailers may throw them away, or not understand them (RFC 9110, 6.5.1).
        let isSent = flags.contains(.takesTrailers)
        reserve(16 + trailers.bytes.count + trailers.count * 4)
        output.append(literal: "0\r\n")
        if isSent { appendFields(trailers) }
        output.append(literal: "\r\n")
    }

    private func upgrade(
        to name: String, _ fields: HTTPFields, _ serve: @Sendable (Connection) async throws -> Void
    ) async throws -> Bool {
        let request = HTTPRequest(storage: requestStorage).fields
        var answer = fields
        do throws(HTTPError) { try answer.set("Upgrade", name) } catch { return try fail(error) }
        guard flags.contains(.isHTTP11), request.contains("Connection", token: "upgrade"),
            request.contains("Upgrade", token: name), bodyRest == .none, !isWithoutBody(.ok)
        else {
            let keeps = keepsConnection(after: HTTPResponse(status: .upgradeRequired))
            encodeHead(.upgradeRequired, answer, .length(0), keeps: keeps, isUpgrade: true)
            return keeps
        }
        encodeHead(.switchingProtocols, answer, .none, keeps: true, isUpgrade: true)
        try await flush()
        server.count(requestSince: began)
        if served != nil { logServed() }
        requestEnds()
        if server.mayMove { connection.onHandover(nil) }
        try await serve(connection)
        throw ConnectionEnd()
    }

    /// 1xx beside 101, before the final response.
    func inform(_ status: HTTPStatus, _ fields: HTTPFields, of storage: RequestStorage) async throws {
        guard loop.isCurrent else {
            return try await loop.run { _ in try await self.inform(status, fields, of: storage) }
        }
        guard self.storage === storage, !hasResponse else { throw HTTPError(.requestEnded) }
        guard storage.head.flags.contains(.isHTTP11) else { return }
        encodeHead(status, fields, .none, keeps: true)
        hasResponse = false
        // What the kernel does not take goes with the final response.
        _ = try flushNow()
    }

    /// A refusal of what is no request, and the end of the connection.
    func refuse(_ status: HTTPStatus) async throws {
        DeadlineQueue.remove(self)
        expiry = nil
        encodeHead(status, Self.plainText, .length(status.description.utf8.count + 1), keeps: false, andRoomFor: 64)
        output.append(status.description)
        output.append(literal: "\n")
        if server.accessLog != nil { logRefused(status, bodyBytes: status.description.utf8.count + 1) }
        try await flush()
        try await closeGently()
    }

    private static let plainText: HTTPFields = ["Content-Type": "text/plain; charset=utf-8"]

    /// What the client gets for an error of the handler.
    ///
    /// - Throws: if no response can reach the client.
    func response(to error: any Error) throws -> HTTPResponse {
        if isBroken || Task.isCancelled { throw error is CancellationError ? error : ConnectionEnd() }
        if let error = error as? HTTPError, let status = error.status {
            if !error.leavesWholeRequest { mustClose = true }
            return .text("\(status)\n", status: status)
        }
        report(error)
        return .text("\(HTTPStatus.internalServerError)\n", status: .internalServerError)
    }

    /// By method and path: the query may have what no log must have.
    func report(_ error: any Error) {
        let storage = requestStorage
        let label = storage.bytes.withUnsafeBytes { bytes in
            String(decoding: bytes.part(storage.head.label).prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
        }
        server.report(.requestFailed(error, request: label, peer: peer))
    }

    /// The handler has made a response that cannot be sent.
    private func fail(_ error: HTTPError) throws -> Bool {
        let response = try response(to: error)
        return encode(response) ?? false
    }

    /// A part of the response is out already: the end of the connection tells the client that it is not complete.
    func breakOff(_ error: any Error) throws -> Never {
        if !isBroken, !(error is CancellationError) { report(error) }
        output.removeAll()
        throw error is CancellationError ? error : ConnectionEnd()
    }

    /// A request in quarantine.
    static func unavailable(_ refusal: RequestAccounting.Refusal) -> HTTPResponse {
        // What an operator refuses has no end: a minute is a guess.
        let seconds = refusal.retryAfter.map { Int(clamping: $0.components.seconds &+ 1) } ?? 60
        var response = HTTPResponse.text(
            "requests of this path are refused for a while\n", status: .serviceUnavailable)
        // A number has no character that a field must not have.
        try? response.fields.append("Retry-After", "\(seconds)")
        return response
    }

    private func isWithoutBody(_ status: HTTPStatus) -> Bool {
        isHead || status.isWithoutBody
    }

    /// Whether another request may follow on this connection.
    ///
    /// - Parameter mayReadBody: the response's body may still read the request's.
    private func keepsConnection(after response: HTTPResponse, mayReadBody: Bool = false) -> Bool {
        guard flags.keepsAlive, !mustClose, !connection.isDraining else { return false }
        if response.fields.kinds.contains(.connection), response.fields.contains("Connection", token: "close") {
            return false
        }
        if mayReadBody { return true }
        if isBodyHeldBack || isReadingBody { return false }
        // What the response says must hold: a client may already have sent its next request when it learns of the end.
        switch bodyRest {
        case .none: return true
        case .length(let rest): return rest <= Self.discardLimit
        case .chunked: return discardBufferedBody()
        }
    }

    private func encodeHead(
        _ status: HTTPStatus, _ fields: HTTPFields, _ framing: Framing, keeps: Bool, andRoomFor count: Int = 0,
        isUpgrade: Bool = false
    ) {
        // A 426 that a handler makes must say to what (RFC 9110, 15.5.22).
        let isUpgrade = isUpgrade || status == .upgradeRequired && fields.contains("Upgrade")
        hasResponse = true
        if served != nil { served?.status = status.code }
        reserve(Self.headRoom + fields.bytes.count + fields.count * 4 + count)
        server.updateDate()
        if status == .ok, !fields.kinds.contains(.date) {
            output.append(server.beginOfOK)
        } else {
            output.append(literal: "HTTP/1.1 ")
            output.append(decimal: status.code)
            output.append(literal: " ")
            output.append(literal: status.phrase)
            output.append(literal: "\r\n")
            if !fields.kinds.contains(.date), !status.isInformational {
                server.dateLine.withUnsafeBytes { output.append($0) }
            }
        }
        if fields.kinds.isPlain { output.append(fields.bytes) } else { appendFields(fields, isUpgrade: isUpgrade) }
        appendFraming(status, fields, framing)
        if isUpgrade, keeps {
            output.append(literal: "Connection: upgrade\r\n\r\n")
        } else if keeps {
            // It is the default of HTTP/1.1 alone. A response of 1xx says nothing of the connection.
            let isDefault = status.isInformational || flags.contains(.isHTTP11)
            output.append(literal: isDefault ? "\r\n" : "Connection: keep-alive\r\n\r\n")
        } else {
            output.append(literal: isUpgrade ? "Connection: close, upgrade\r\n\r\n" : "Connection: close\r\n\r\n")
        }
    }

    private func appendFraming(_ status: HTTPStatus, _ fields: HTTPFields, _ framing: Framing) {
        switch framing {
        case .length(var count):
            if status.code == 204 { return }
            if isWithoutBody(status), count == 0 {
                // The length that a GET would have, if the handler knows it.
                guard fields.kinds.contains(.contentLength), let text = fields["Content-Length"], let length = Int(text),
                    length >= 0
                else {
                    if status == .notModified { return }
                    break
                }
                count = length
            }
            output.append(literal: "Content-Length: ")
            output.append(decimal: count)
            output.append(literal: "\r\n")
            return
        case .chunked:
            if status.isWithoutBody { return }
            output.append(literal: "Transfer-Encoding: chunked\r\n")
            return
        case .none, .untilEnd: return
        }
        output.append(literal: "Content-Length: 0\r\n")
    }

    /// Without those that are the server's to send.
    private func appendFields(_ fields: HTTPFields, isUpgrade: Bool = false) {
        fields.bytes.withUnsafeBytes { bytes in
            for entry in fields.entries {
                let name = bytes.part(entry.name)
                let kind = HTTPFields.Kinds(ofName: name)
                let isUpgradeField = isUpgrade && name.spellInAnyCase("upgrade")
                guard kind.isPlain || isUpgradeField else { continue }
                output.append(name)
                output.append(literal: ": ")
                output.append(bytes.part(entry.value))
                output.append(literal: "\r\n")
            }
        }
    }
}
