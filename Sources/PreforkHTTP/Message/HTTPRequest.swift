// A request, as its handler sees it.

public import PreforkSystem
import Synchronization

/// A request whose head has come. Its body may still be on the way.
///
/// It is a view of the bytes that the client has sent: what its properties return is made when they are asked for. It may
/// be kept longer than the handler runs. Only its body ends with the handler.
public struct HTTPRequest: Sendable {
    let storage: RequestStorage

    /// GET, POST and so on.
    public var method: HTTPMethod { HTTPMethod(kind: storage.head.method) }

    /// The target as the client has sent it: `/path?query`, `http://host/path?query`, or `*` of OPTIONS.
    public var target: String { storage.text(storage.head.target) }

    /// The target's path without the query, as it was sent: percent-encoding is not removed, and `..` not resolved.
    /// `*` for OPTIONS of the server itself.
    public var path: String {
        if !storage.head.path.isEmpty { return storage.text(storage.head.path) }
        return method == .options && storage.head.query == nil ? "*" : "/"
    }

    /// What stands behind the first `?` of the target, as it was sent. nil without a `?`.
    public var query: String? { storage.head.query.map { storage.text($0) } }

    /// The host and port that the request is for: of the target if it has one, else of the Host field. nil if a client of
    /// HTTP/1.0 has sent no Host.
    public var authority: String? { storage.head.authority.map { storage.text($0) } }

    /// Whether the client speaks HTTP/1.1, or else HTTP/1.0.
    public var isHTTP11: Bool { storage.head.flags.contains(.isHTTP11) }

    /// The head's fields.
    public var fields: HTTPFields { HTTPFields(viewOf: storage.bytes, storage.head.fields) }

    /// The body. It can be read once, by one task at a time, while the handler runs.
    public var body: HTTPBody { HTTPBody(storage: storage) }

    /// The fields behind a chunked body. Empty until the body was read to its end. They are never mixed with `fields`.
    public var trailers: HTTPFields { storage.trailers.withLock { $0 } }

    /// The address at the other end of the connection. Behind a proxy it is the proxy's: see `client`.
    public var peer: SocketAddress { storage.connection?.peer ?? .unix(path: "") }

    /// The client's address: what trusted proxies have said of it, by the PROXY protocol or a field, else `peer`. Its port is
    /// 0 where they have said none. See `HTTPServerOptions.trustedProxies`.
    public var client: SocketAddress { storage.origin?.address ?? peer }

    /// `https` if a trusted proxy has said that the client uses TLS, else `http`.
    public var scheme: String { storage.origin?.scheme ?? "http" }

    /// The host that the client has asked for, with its port if it has one: what a trusted proxy has said, else `authority`.
    public var host: String? { storage.origin?.host ?? authority }

    /// Whether the server is draining, or leaves its connections to another worker: a response that has no end of its own
    /// should end. Where the connection does not move, it has `Connection: close` by itself.
    public var isDraining: Bool { storage.connection?.isDraining ?? true }

    /// Whether another worker has answered this request, with a WebSocket or a `resumableStream` that has moved here since. It
    /// is answered in the same way again, or the WebSocket is closed with 1012, and the response broken off. What belongs to the first time only, such as a count of log-ins, is
    /// left out then.
    public var isResumed: Bool { storage.connection?.isResuming ?? false }

    /// Sends a response of 1xx before the final one, for example `.earlyHints`. To a client of HTTP/1.0 nothing is sent.
    ///
    /// - Parameters:
    ///   - status: 102 to 199.
    ///   - fields: of this response alone.
    /// - Throws: `HTTPError` (`.badStatus`) for another status, `.requestEnded` after the handler has returned or the
    ///   final response has begun. Errors of the connection.
    public func inform(_ status: HTTPStatus, _ fields: HTTPFields) async throws {
        guard status.isInformational, status.code > 101 else { throw HTTPError(.badStatus(status)) }
        guard let connection = storage.connection else { throw HTTPError(.requestEnded) }
        try await connection.inform(status, fields, of: storage)
    }
}

extension HTTPRequest: CustomStringConvertible {
    /// Method and target.
    public var description: String { "\(method) \(target)" }
}

/// What a request is made of. The connection uses it again for the next request, unless a program has kept it.
final class RequestStorage: @unchecked Sendable {
    // Sendable: written by the connection alone, on its loop, and only while nothing else refers to it, as
    // `isKnownUniquelyReferenced` tells. The trailers, which come later, have a lock.
    //
    // Unchecked exclusivity. Proof: the parser and the copy of a head call no code outside of the value.
    /// Begins with the head, behind which older ones may have left bytes. All places in it are those of the parsed head.
    @exclusivity(unchecked) private(set) var bytes: [UInt8] = []
    private static let usualLength = 512
    @exclusivity(unchecked) var parser: RequestParser
    let trailers = Mutex(HTTPFields())
    private var hasTrailers = false
    /// What is computed when it is first asked for. nil until then.
    private let knownOrigin = Mutex<ClientOrigin?>(nil)
    private let hasOrigin = Atomic(false)
    /// Set while the request is a connection's, and with a request that was kept.
    // Proof: a connection that lives calls `reset` or `isKept` when its request ends, at the latest at its own end. From
    // `isKept` on the reference beside this one keeps it. What calls from another thread meanwhile has a copy of the
    // request, so that `reset` is not called.
    private var owner: Unmanaged<HTTPConnection>?
    private var keptOwner: HTTPConnection?
    var connection: HTTPConnection? { owner?.takeUnretainedValue() }

    init(_ parser: RequestParser) {
        self.parser = parser
    }

    var head: RequestHead { @inline(__always) _read { yield parser.head } }

    /// The head is complete: takes its bytes.
    @inline(__always)
    func begin(_ head: UnsafeRawBufferPointer, of connection: HTTPConnection) {
        // Its length never changes else: to empty an array and to fill it again costs more than the copy.
        if bytes.count < head.count { bytes = [UInt8](repeating: 0, count: max(head.count, Self.usualLength)) }
        bytes.withUnsafeMutableBytes { $0.copyMemory(from: head) }
        owner = .passUnretained(connection)
    }

    /// Where the request came from, as trusted proxies have said it. nil if no proxy is trusted: then there is nothing to
    /// read. From any thread, and read from the fields once.
    var origin: ClientOrigin? {
        guard let connection, connection.believesProxies else { return nil }
        return knownOrigin.withLock { known in
            if let known { return known }
            let origin = connection.origin(of: HTTPFields(viewOf: bytes, head.fields))
            known = origin
            hasOrigin.store(true, ordering: .relaxed)
            return origin
        }
    }

    /// While the handler runs.
    func setTrailers(_ fields: HTTPFields) {
        guard !fields.isEmpty else { return }
        hasTrailers = true
        trailers.withLock { $0 = fields }
    }

    /// The request has ended, and a program has kept it.
    func isKept() { keptOwner = connection }

    /// For the next request.
    func reset() {
        parser.reset()
        owner = nil
        if hasOrigin.load(ordering: .relaxed) {
            hasOrigin.store(false, ordering: .relaxed)
            knownOrigin.withLock { $0 = nil }
        }
        guard hasTrailers else { return }
        hasTrailers = false
        trailers.withLock { $0 = HTTPFields() }
    }

    fileprivate func text(_ range: Range<Int>) -> String {
        bytes.withUnsafeBytes { String(decoding: $0.part(range), as: UTF8.self) }
    }
}
