// How a request's body is read.

import PreforkEventLoop
import PreforkSystem

extension HTTPConnection {
    private static let pieceLimit = 64 * 1024
    /// What a handler has left of a body of known length is read and thrown away up to this: cheaper than a new connection.
    static let discardLimit = 256 * 1024
    private static let endlessLimit = 64 << 20

    /// The next piece of the body, or nil at its end.
    func nextPiece(of storage: RequestStorage) async throws -> [UInt8]? {
        guard loop.isCurrent else {
            return try await loop.run { _ in try await self.nextPiece(of: storage) }
        }
        try Task.checkCancellation()
        try beginReading(of: storage)
        defer { isReadingBody = false }
        return try await readPiece()
    }

    func collectBody(of storage: RequestStorage, limit: Int?) async throws -> [UInt8] {
        guard loop.isCurrent else {
            return try await loop.run { _ in try await self.collectBody(of: storage, limit: limit) }
        }
        let limit = limit ?? server.options.bodyLimit
        try Task.checkCancellation()
        try beginReading(of: storage)
        defer { isReadingBody = false }
        if case .length(let count) = bodyRest, count > limit { throw HTTPError(.bodyTooLarge(limit: limit)) }
        guard var body = try await readPiece() else { return [] }
        while body.count <= limit, let piece = try await readPiece() { body += piece }
        if body.count > limit { throw HTTPError(.bodyTooLarge(limit: limit)) }
        return body
    }

    private func beginReading(of storage: RequestStorage) throws(HTTPError) {
        guard self.storage === storage else { throw HTTPError(.requestEnded) }
        if isReadingBody { throw HTTPError(.readInProgress) }
        isReadingBody = true
    }

    /// Reads what the handler has left, so that the next request begins where this one's body ends. The response has said
    /// that the connection continues (see `keepsConnection`), so the limit only stops a body that has no end.
    ///
    /// - Returns: false if it is more, or goes wrong: then the connection must end.
    func discardBody() async throws -> Bool {
        // A task that the handler has left behind still reads.
        if isBodyHeldBack || mustClose || isReadingBody { return false }
        isReadingBody = true
        defer { isReadingBody = false }
        var rest = Self.endlessLimit
        do {
            while let piece = try await readPiece() {
                rest -= piece.count
                if rest < 0 { return false }
            }
        } catch is HTTPError {
            return false
        }
        return true
    }

    /// Throws away what is already here of a body whose length is not known.
    ///
    /// - Returns: whether its end is here, too.
    func discardBufferedBody() -> Bool {
        while bodyRest != .none, reader.bufferedCount > 0 {
            needsContinue = false
            guard (try? takePiece()) != nil else { break }
        }
        return bodyRest == .none
    }

    /// The client has sent nothing of the body, and will not before it gets 100.
    var isBodyHeldBack: Bool { needsContinue && bodyRest != .none && reader.bufferedCount == 0 }

    private func readPiece() async throws -> [UInt8]? {
        while bodyRest != .none {
            if reader.bufferedCount > 0 { needsContinue = false }
            if reader.bufferedCount > 0, let piece = try takePiece() { return piece }
            if bodyRest == .none { return nil }
            try await fillBody()
        }
        return nil
    }

    /// What has come of the body. nil if there is none of it, or the body is over.
    private func takePiece() throws(HTTPError) -> [UInt8]? {
        guard case .length(let rest) = bodyRest else { return try takeChunk() }
        let count = min(rest, reader.bufferedCount, Self.pieceLimit)
        let piece = reader.withBufferedBytes { Array($0.part(0..<count)) }
        reader.consume(count)
        bodyRest = rest == count ? .none : .length(rest - count)
        return piece
    }

    private func takeChunk() throws(HTTPError) -> [UInt8]? {
        var piece: [UInt8]?
        let step = reader.withBufferedBytes { bytes -> ChunkedParser.Step? in
            let step = chunks?.parser.next(bytes)
            if case .data(let range) = step { piece = Array(bytes.part(range)) }
            return step
        }
        switch step {
        case .data(let range): reader.consume(range.upperBound)
        case .incomplete(let count): reader.consume(count)
        case .complete(let count):
            reader.consume(count)
            bodyRest = .none
            if let trailers = chunks?.parser.trailers { storage?.setTrailers(trailers) }
        case .failure(let code):
            mustClose = true
            throw HTTPError(code)
        case nil: bodyRest = .none
        }
        return piece
    }

    /// Waits for more bytes of the body.
    private func fillBody() async throws {
        if needsContinue, !hasResponse {
            needsContinue = false
            reserve(Self.continueLine.utf8CodeUnitCount)
            output.append(literal: Self.continueLine)
        }
        if output.count > 0, try !flushNow() { try await flush() }
        let before = reader.bufferedCount
        let began = MonotonicInstant.now
        let limit = min(server.options.bodyTimeout, allowance(bodyProgress))
        expiry = nil
        let timer = loop.call(after: limit) { [self] in expire(.body) }
        defer {
            timer.cancel()
            bodyProgress.waited += .now - began
        }
        let hasMore: Bool
        do {
            hasMore = try await reader.fill()
        } catch {
            mustClose = true
            guard expiry == .body else {
                isBroken = error is StreamError
                throw error
            }
            expiry = nil
            throw HTTPError(.bodyTimeout)
        }
        guard hasMore else {
            isBroken = true
            throw HTTPError(.bodyIncomplete)
        }
        bodyProgress.bytes += reader.bufferedCount - before
    }

    private static let continueLine: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"
}
