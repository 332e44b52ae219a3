// The server's half of the opening handshake (RFC 6455, section 4.2) as a function of the request.

/// What a request for a WebSocket is answered with.
enum WebSocketHandshake: Equatable {
    /// 101 with these fields.
    case accepted(key: String, subprotocol: String?)
    /// Another status, and what the client must know to do better.
    case refused(status: Int, fields: [Field], reason: String)

    struct Field: Equatable {
        let name: String
        let value: String

        init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What of a request matters here.
    struct Request {
        var method: String
        /// HTTP/1.1. Before it there is no Upgrade (RFC 9110, section 7.8).
        var isHTTP11: Bool
        /// It has a body, whatever its length: its bytes would be read as frames.
        var hasBody: Bool
        /// All values of the fields with a name, without regard to case, in their order.
        var values: (_ name: String) -> [String]
    }

    /// The one version of RFC 6455.
    static let version = "13"

    /// The fields of the answer.
    var fields: [Field] {
        switch self {
        case .accepted(let key, let subprotocol):
            [Field("Upgrade", "websocket"), Field("Connection", "Upgrade"), Field("Sec-WebSocket-Accept", key)]
                + (subprotocol.map { [Field("Sec-WebSocket-Protocol", $0)] } ?? [])
        case .refused(_, let fields, _): fields
        }
    }

    /// Judges a request. Extensions that the client offers are ignored, which declines them (section 9.1).
    static func answer(to request: Request, _ options: WebSocketOptions) -> WebSocketHandshake {
        guard request.method == "GET" else {
            return .refused(status: 405, fields: [Field("Allow", "GET")], reason: "a WebSocket begins with GET")
        }
        guard request.isHTTP11, has("websocket", in: request.values("Upgrade")),
            has("upgrade", in: request.values("Connection"))
        else {
            let fields = [Field("Upgrade", "websocket"), Field("Connection", "Upgrade")]
            return .refused(status: 426, fields: fields, reason: "a WebSocket begins with an upgrade of HTTP/1.1")
        }
        guard !request.hasBody else { return refuse(400, "a request for a WebSocket has no body") }
        guard request.values("Sec-WebSocket-Version") == [version] else {
            let fields = [
                Field("Sec-WebSocket-Version", version), Field("Upgrade", "websocket"), Field("Connection", "Upgrade"),
            ]
            return .refused(status: 426, fields: fields, reason: "the version of WebSocket is \(version)")
        }
        let keys = request.values("Sec-WebSocket-Key")
        guard keys.count == 1, Base64.decodedCount(keys[0]) == 16 else {
            return refuse(400, "Sec-WebSocket-Key is not 16 bytes in Base64")
        }
        guard let offered = tokens(of: request.values("Sec-WebSocket-Protocol")), Set(offered).count == offered.count
        else { return refuse(400, "Sec-WebSocket-Protocol is not a list of different tokens") }
        let origins = request.values("Origin")
        guard origins.count <= 1, options.origins.allow(origins.first, host: request.values("Host").first) else {
            return refuse(403, "pages of this origin may not connect")
        }
        return .accepted(key: acceptKey(for: keys[0]), subprotocol: options.subprotocols.first(where: offered.contains))
    }

    /// Section 4.2.2: the proof that this server has understood the request.
    static func acceptKey(for key: String) -> String {
        Base64.encode(SHA1.digest(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    private static func refuse(_ status: Int, _ reason: String) -> WebSocketHandshake {
        .refused(status: status, fields: [], reason: reason)
    }

    /// Whether a list of names has this one, in lower case, without regard to case.
    private static func has(_ name: String, in values: [String]) -> Bool {
        values.contains { members(of: $0).contains { $0.lowercased() == name } }
    }

    /// - Returns: nil if a member is no token (RFC 9110, section 5.6.2). Empty members are skipped (section 5.6.1.2).
    private static func tokens(of values: [String]) -> [String]? {
        let tokens = values.flatMap(members)
        return tokens.allSatisfy { $0.utf8.allSatisfy(\.isToken) } ? tokens : nil
    }

    private static func members(of value: String) -> [String] {
        value.utf8.split(separator: UInt8(ascii: ",")).compactMap { member in
            let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            let trimmed = member.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
            return trimmed.isEmpty ? nil : String(decoding: Array(trimmed), as: UTF8.self)
        }
    }
}
