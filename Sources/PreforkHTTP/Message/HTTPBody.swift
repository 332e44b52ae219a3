// A request's body.

/// The body of a request, in pieces as they come: an `AsyncSequence` of `[UInt8]`.
///
/// Nothing is read from the connection before a piece is asked for, so a client is not faster than its reader. A client
/// that waits for `100 Continue` gets it with the first read. What a handler leaves unread is thrown away when it has
/// returned, if that is little, or else the connection ends.
public struct HTTPBody: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    let storage: RequestStorage

    /// What `Content-Length` says, in bytes. 0 for a request without a body, nil for one in chunks.
    public var count: Int? {
        switch storage.head.framing {
        case .none: 0
        case .length(let count): count
        case .chunked: nil
        }
    }

    /// The whole body.
    ///
    /// - Parameter limit: how many bytes it may have. If nil, `HTTPServerOptions.bodyLimit`. With zero or less, no body
    ///   of one byte or more fits.
    /// - Throws: `HTTPError`: `.bodyTooLarge` at once if the client has announced more, or as soon as more has come. If the
    ///   handler lets it pass, the response is 413. Others as the iterator's `next()`.
    public func collect(limit: Int? = nil) async throws -> [UInt8] {
        guard let connection = storage.connection else { throw HTTPError(.requestEnded) }
        return try await connection.collectBody(of: storage, limit: limit)
    }

    /// Gives each piece of the body as it comes.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let storage: RequestStorage

        /// The next piece, of at least one byte, or nil at the body's end.
        ///
        /// - Throws: `HTTPError`: `.malformedBody`, `.bodyTimeout`, `.trailersTooLarge`, `.bodyIncomplete`,
        ///   `.requestEnded`, `.readInProgress`. `CancellationError`.
        public mutating func next() async throws -> [UInt8]? {
            guard let connection = storage.connection else { throw HTTPError(.requestEnded) }
            return try await connection.nextPiece(of: storage)
        }
    }

    public func makeAsyncIterator() -> Iterator { Iterator(storage: storage) }
}
