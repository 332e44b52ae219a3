// Bodies that are made while they are sent.

import PreforkEventLoop

/// Sends the pieces of a response's body, each as soon as it is written. See `HTTPResponse.Body.stream`.
public struct HTTPBodyWriter: Sendable {
    let state: State

    final class State: @unchecked Sendable {
        // Sendable: touched on the connection's loop only. The writer goes there first.
        let loop: EventLoop
        private var connection: HTTPConnection?
        let isChunked: Bool
        /// Bytes that are still to be written, if their number is known.
        private(set) var rest: Int?
        private let count: Int
        fileprivate(set) var trailers = HTTPFields()
        private var isWriting = false

        init(_ connection: HTTPConnection, rest: Int?, isChunked: Bool) {
            self.connection = connection
            loop = connection.loop
            self.rest = rest
            count = rest ?? 0
            self.isChunked = isChunked
        }

        func end() { connection = nil }

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
            if let rest {
                guard bytes.count <= rest else { throw HTTPError(.wrongLength(expected: count)) }
                self.rest = rest - bytes.count
            }
            isWriting = true
            defer { isWriting = false }
            try await connection.write(bytes, isChunk: isChunked)
        }
    }

    /// Sends `bytes`, when the client takes them. No bytes send nothing.
    ///
    /// - Throws: `HTTPError`: `.wrongLength` for more than the response's length, `.requestEnded` when the response is
    ///   over, `.writeInProgress` while another task writes, `.writeTimeout`. `StreamError` when the client is gone.
    ///   `CancellationError`.
    public func write(_ bytes: [UInt8]) async throws { try await state.write(bytes) }

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
