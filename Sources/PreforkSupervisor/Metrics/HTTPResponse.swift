// An HTTP response as bytes.

struct HTTPResponse: Equatable {
    var status: Int
    var type = "text/plain; charset=utf-8"
    var body: [UInt8]
    /// Lines of the head besides those that every response has.
    var fields: [(name: String, value: String)] = []

    init(status: Int, type: String = "text/plain; charset=utf-8", body: [UInt8]) {
        self.status = status
        self.type = type
        self.body = body
    }

    /// A response that says no more than its status.
    init(status: Int) {
        self.init(status: status, body: Array("\(Self.reason(status))\n".utf8))
    }

    /// - Parameter hasBody: false for an answer to HEAD, which has the same head as the answer to GET (RFC 9110,
    ///   9.3.2).
    func bytes(keepsAlive: Bool, hasBody: Bool = true) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(Self.reason(status))\r\n"
        head += "Content-Type: \(type)\r\nContent-Length: \(body.count)\r\n"
        head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        head += "Connection: \(keepsAlive ? "keep-alive" : "close")\r\n\r\n"
        return Array(head.utf8) + (hasBody ? body : [])
    }

    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 413: "Content Too Large"
        case 431: "Request Header Fields Too Large"
        case 503: "Service Unavailable"
        default: "Status \(status)"
        }
    }

    static func == (a: Self, b: Self) -> Bool {
        a.bytes(keepsAlive: true) == b.bytes(keepsAlive: true)
    }
}
