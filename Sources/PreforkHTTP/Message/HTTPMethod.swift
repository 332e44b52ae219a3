// Request methods.

/// A request's method (RFC 9110, 9). Names are case-sensitive: `get` is another method than `GET`.
public struct HTTPMethod: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case get, head, post, put, delete, patch, options, trace, connect
        case other(String)
    }

    let kind: Kind

    init(kind: Kind) { self.kind = kind }

    /// - Parameter name: any text. One that is no token is the method of no request.
    public init(_ name: String) {
        kind =
            switch name {
            case "GET": .get
            case "HEAD": .head
            case "POST": .post
            case "PUT": .put
            case "DELETE": .delete
            case "PATCH": .patch
            case "OPTIONS": .options
            case "TRACE": .trace
            case "CONNECT": .connect
            default: .other(name)
            }
    }

    /// Transfers the resource.
    public static var get: HTTPMethod { .init(kind: .get) }
    /// As GET, but the response has no body. The server leaves it out by itself.
    public static var head: HTTPMethod { .init(kind: .head) }
    /// Processes the request's body.
    public static var post: HTTPMethod { .init(kind: .post) }
    /// Replaces the resource by the request's body.
    public static var put: HTTPMethod { .init(kind: .put) }
    /// Removes the resource.
    public static var delete: HTTPMethod { .init(kind: .delete) }
    /// Changes a part of the resource (RFC 5789).
    public static var patch: HTTPMethod { .init(kind: .patch) }
    /// Asks what is possible with the resource, or with the server if the target is `*`.
    public static var options: HTTPMethod { .init(kind: .options) }
    /// Asks for the request as it came.
    public static var trace: HTTPMethod { .init(kind: .trace) }
    /// Asks for a tunnel. The server refuses it with 501 before any handler runs.
    public static var connect: HTTPMethod { .init(kind: .connect) }

    /// The method's name, as in the request line.
    public var name: String {
        switch kind {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .patch: "PATCH"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .connect: "CONNECT"
        case .other(let name): name
        }
    }
}

extension HTTPMethod.Kind {
    /// The method that `bytes` spell. They must be a token.
    init(token bytes: UnsafeRawBufferPointer) {
        switch bytes.count {
        case 3 where bytes.spell("GET"): self = .get
        case 3 where bytes.spell("PUT"): self = .put
        case 4 where bytes.spell("POST"): self = .post
        case 4 where bytes.spell("HEAD"): self = .head
        case 5 where bytes.spell("PATCH"): self = .patch
        case 5 where bytes.spell("TRACE"): self = .trace
        case 6 where bytes.spell("DELETE"): self = .delete
        case 7 where bytes.spell("OPTIONS"): self = .options
        case 7 where bytes.spell("CONNECT"): self = .connect
        default: self = .other(String(decoding: bytes, as: UTF8.self))
        }
    }
}

extension HTTPMethod: CustomStringConvertible {
    public var description: String { name }
}
