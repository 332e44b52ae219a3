// Bodies that are made while they are sent.

import PreforkEventLoop

/// Sends the pieces of a response's body, each as soon as it is written. See `HTTPResponse.Body.stream`.
public struct HTTPBodyWriter: Sendable {
    let state: State

    final class State: @unchecked Sendable {
        // Sendable: touched on the connection's loop only. The writer goes there first.
        let loop: EventLoop
        // Unchecked exclusivity. Proof: each access is one assignment or a call of an array's method.
        @exclusivity(unchecked) private var connection: HTTPConnection?
        @exclusivity(unchecked) private(set) var isChunked = false
        /// Bytes that are still to be written, if their number is known.
        @exclusivity(unchecked) private(set) var rest: Int?
        @exclusivity(unchecked) private var count = 0
        @exclusivity(unchecked) fileprivate(set) var trailers = HTTPFields()
        @exclusivity(unchecked) private var isWriting = false
        /// Of a response that may move. nil for others.
        @exclusivity(unchecked) private(set) var handover: StreamHandover?

        init(loop: EventLoop) { self.loop = loop }

        /// Of another response from now on. Nothing else refers to the state.
        func begin(_ connection: HTTPConnection, rest: Int?, isChunked: Bool, _ handover: StreamHandover? = nil) {
            if handover != nil || self.handover != nil { self.handover = handover }
            self.connection = connection
            self.rest = rest
            count = rest ?? 0
            self.isChunked = isChunked
            if !trailers.isEmpty { trailers = HTTPFields() }
        }

        func end() { connection = nil }

        /// See `HTTPBodyWriter.writeNow`.
        fileprivate func writeNow(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
            guard loop.isCurrent, let connection, !isWriting, handover == nil, connection.takes(bytes.count) else {
                return false
            }
            if Task.isCancelled { throw CancellationError() }
            if bytes.count == 0 { return true }
            try take(bytes.count)
            try connection.write(bytes, isChunk: isChunked)
            return true
        }

        private func take(_ written: Int) throws {
            guard let rest else { return }
            guard written <= rest else { throw HTTPError(.wrongLength(expected: count)) }
            self.rest = rest - written
        }

        var isDraining: Bool { connection?.isDraining ?? true }

        fileprivate func write(_ bytes: [UInt8]) async throws {
            guard loop.isCurrent else {
                return try await loop.run { _ in try await self.write(bytes) }
            }
            try Task.checkCancellation()
            guard let connection, !isWriting else {
                throw HTTPError(self.connection == nil ? .requestEnded : .writeInProgress)
            }
            if bytes.isEmpty { return }
            try take(bytes.count)
            isWriting = true
            defer { isWriting = false }
            try await connection.write(bytes, isChunk: isChunked)
            if handover != nil { connection.pieceIsOut() }
        }
    }

    /// Sends `bytes`, when the client takes them. No bytes send nothing.
    ///
    /// - Throws: `HTTPError`: `.wrongLength` for more than the response's length, `.requestEnded` when the response is
    ///   over, `.writeInProgress` while another task writes, `.writeTimeout`. `StreamError` when the client is gone.
    ///   `CancellationError`.
    public func write(_ bytes: [UInt8]) async throws { try await state.write(bytes) }

    /// As `write`, for bytes in any memory, if there is nothing to wait for. Up to 16 KiB of them are copied, and sent as
    /// far as the client takes them now.
    ///
    /// ```swift
    /// if try !buffer.withUnsafeBytes({ try writer.writeNow($0) }) { try await writer.write(Array(buffer)) }
    /// ```
    ///
    /// - Parameter bytes: must stay valid until the call returns. No bytes send nothing.
    /// - Returns: false if nothing was sent, and `write` must be called: in a `resumableStream`, for more bytes, while another task writes or the
    ///   client takes nothing, after the response, and on another thread than the connection's.
    /// - Throws: as `write`.
    public func writeNow(_ bytes: UnsafeRawBufferPointer) throws -> Bool { try state.writeNow(bytes) }

    /// Sends `text` as UTF-8. See `write`.
    public func write(_ text: String) async throws { try await state.write(Array(text.utf8)) }

    /// Sets the fields that follow the body. They are sent to clients that ask for them by `TE: trailers`, and only where
    /// the body is sent in chunks.
    public func setTrailers(_ fields: HTTPFields) async throws {
        guard state.loop.isCurrent else {
            return try await state.loop.run { [self] _ in try await setTrailers(fields) }
        }
        state.trailers = fields
    }
}

extension HTTPConnection {
    /// A chunk up to this is copied: cheaper than a second system call for its end.
    private static let copiedChunkLimit = 16 * 1024

    /// Whether a piece of so many bytes can be put into the output at once: the client has taken what came before, perhaps but the head.
    fileprivate func takes(_ count: Int) -> Bool {
        max(count, output.count) <= Self.copiedChunkLimit && !isFlushing && !connection.hasHadItsTurn
    }

    fileprivate func write(_ bytes: UnsafeRawBufferPointer, isChunk: Bool) throws {
        reserve(OutputBuffer.numberLength + 4 + bytes.count)
        if isChunk {
            output.append(hexadecimal: bytes.count)
            output.append(literal: "\r\n")
        }
        output.append(bytes)
        if isChunk { output.append(literal: "\r\n") }
        if served != nil { served?.bodyBytes += bytes.count }
        _ = try flushNow()
    }

    fileprivate func write(_ bytes: [UInt8], isChunk: Bool) async throws {
        let isCopied = bytes.count <= Self.copiedChunkLimit
        reserve(OutputBuffer.numberLength + 4 + (isCopied ? bytes.count : 0))
        if isChunk {
            output.append(hexadecimal: bytes.count)
            output.append(literal: "\r\n")
        }
        if isCopied {
            output.append(bytes)
        } else {
            try await flush(with: bytes, hasMore: isChunk)
        }
        if isChunk {
            reserve(2)
            output.append(literal: "\r\n")
        }
        if served != nil { served?.bodyBytes += bytes.count }
        if try !flushNow() { try await flush() }
    }
}
