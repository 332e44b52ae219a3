// Requests that differ from run to run by their seed alone.

/// A request as it is sent.
struct GeneratedRequest: CustomStringConvertible {
    let kind: String
    let text: String
    var isHead: Bool { text.hasPrefix("HEAD ") }
    var description: String { text.debugDescription }
}

/// Makes requests for the routes of twin-server.
///
/// What is left out, because both servers differ there on purpose (see the README): HTTP/1.0, `Connection: close`,
/// trailers for clients that do not ask for them, requests that are malformed. Streamed echoes are small: where a chunk
/// ends depends on how much was read at once.
struct RequestGenerator {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(state: seed) }

    static let kinds = [
        "plain", "text", "rest", "json", "post json", "bad json", "query", "uri", "fields", "head", "cookie", "peer",
        "date", "bytes", "stream", "sized", "pieces", "trailers", "mapped", "echo", "post pieces", "collect", "unread",
        "status", "body", "nothing", "redirect", "error", "method", "unknown", "preflight", "HEAD",
    ]

    mutating func next() -> GeneratedRequest {
        let kind = pick(Self.kinds)
        return GeneratedRequest(kind: kind, text: text(of: kind))
    }

    private mutating func text(of kind: String) -> String {
        switch kind {
        case "text": get("/text/\(word())%20\(word())")
        case "rest": get("/rest/\(word())/\(word())/\(pick(["", "x%2Fy", "ü".addingPercent]))")
        case "json": get("/json")
        case "post json": post("/json", #"{"name": "\#(word())", "age": \#(number(100))}"#)
        case "bad json": post("/json", pick([#"{"name": 1}"#, "", "{", #"{"age": 3}"#, "[1]"]))
        case "query": get("/query?\(word())=\(word())&\(word())=%41+b&\(word())&=")
        case "uri": get("/uri?\(word())=\(pick(["", "1", "%zz", "a=b"]))")
        case "fields": get("/fields")
        case "head": get("/head?\(word())")
        case "cookie": get("/cookie", ["Cookie: a=\(word()); b=\(word())"])
        case "peer": get("/peer")
        case "date": get("/date")
        case "bytes": get("/bytes/\(pick([0, 1, 100, 4096, 8191, 8192, 8193, 70_000]))")
        case "stream": get("/stream/\(number(20))")
        case "sized": get("/sized/\(pick([0, 1, 7, 3000]))")
        case "pieces": get("/pieces")
        case "trailers": get("/trailers", ["TE: trailers"])
        case "mapped": get("/mapped")
        case "echo": post("/echo", text(number(900)))
        case "post pieces": post("/pieces", text(number(20_000)))
        case "collect": post("/collect", text(number(2000)))
        case "unread": post("/unread", text(number(5000)))
        case "status": get("/status/\(pick([200, 201, 202, 204, 304, 400, 404, 409, 410, 418, 429, 500, 503]))")
        case "body": get("/body/\(pick([200, 203, 400, 404, 500, 599]))")
        case "nothing": get("/nothing")
        case "redirect": get("/redirect")
        case "error": get("/error/\(pick(["message", "plain", "fields", "surprise"]))")
        case "method": request("\(pick(["PUT", "PATCH", "DELETE", "OPTIONS", "GET"])) /method")
        case "unknown": request("\(pick(["GET", "POST", "HEAD"])) /\(word())")
        case "preflight": request("OPTIONS /\(word())", ["Origin: http://\(word()).test"])
        case "HEAD": request("HEAD /\(pick(["", "json", "bytes/100", "stream/3", "sized/7", "error/plain", "date"]))")
        default: get("/")
        }
    }

    private mutating func get(_ target: String, _ fields: [String] = []) -> String {
        request("GET \(target)", fields)
    }

    private mutating func post(_ target: String, _ body: String) -> String {
        let type = "Content-Type: application/json"
        guard number(3) == 0 else {
            return request("POST \(target)", [type, "Content-Length: \(body.utf8.count)"]) + body
        }
        var chunks = ""
        var rest = Substring(body)
        while !rest.isEmpty {
            let chunk = rest.prefix(1 + number(400))
            chunks += "\(String(chunk.utf8.count, radix: 16))\(pick(["", "", ";a=b"]))\r\n\(chunk)\r\n"
            rest = rest.dropFirst(chunk.count)
        }
        return request("POST \(target)", [type, "Transfer-Encoding: chunked"]) + chunks + "0\r\n\r\n"
    }

    private mutating func request(_ line: String, _ fields: [String] = []) -> String {
        var fields = fields + ["Host: \(pick(["localhost", "test:8080", "[::1]"]))"]
        for _ in 0..<number(5) {
            fields.append(pick([
                "X-\(word()):\(pick(["", " ", "  "]))\(word())", "Accept: */*", "User-Agent: \(word())/1.0",
                "Origin: http://\(word()).test", "accept-encoding: gzip, br", "X-\(word()): a, b\t c ", "X-\(word()):",
            ]))
        }
        fields.shuffle(using: &random)
        return "\(line) HTTP/1.1\r\n" + fields.map { "\($0)\r\n" }.joined() + "\r\n"
    }

    private mutating func word() -> String {
        String((0..<1 + number(8)).map { _ in pick(Array("abcdefghijklmnopqrstuvwxyz0123456789")) })
    }

    private mutating func text(_ count: Int) -> String {
        String((0..<count).map { _ in pick(Array("abcdefghijklmnopqrstuvwxyz \n\r")) })
    }

    private mutating func number(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

    private mutating func pick<Element>(_ elements: [Element]) -> Element { elements[number(elements.count)] }
}

extension String {
    /// Each byte as `%XX`.
    fileprivate var addingPercent: String { utf8.map { "%" + String($0, radix: 16, uppercase: true) }.joined() }
}

/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
