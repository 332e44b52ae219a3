// HTTP responses: status lines, heads and the buffer that collects them.

import Glibc

/// The statuses this server uses.
enum Status: String, Error {
    case ok = "200 OK"
    case badRequest = "400 Bad Request"
    case notFound = "404 Not Found"
    case methodNotAllowed = "405 Method Not Allowed"
    case bodyTooLarge = "413 Content Too Large"
    case headTooLarge = "431 Request Header Fields Too Large"
    case notImplemented = "501 Not Implemented"
    case unavailable = "503 Service Unavailable"
}

/// Collects answers until they are written, so that pipelined requests cost one write.
struct ResponseBuffer {
    private(set) var bytes: [UInt8] = []

    /// - Parameters:
    ///   - retryAfter: in seconds.
    ///   - withBody: false for HEAD, which gets the fields alone.
    ///   - keepAlive: false tells the client that the connection ends with this answer.
    mutating func append(
        _ status: Status, _ body: String, retryAfter: Int? = nil, withBody: Bool = true, keepAlive: Bool
    ) {
        if status == .ok {
            bytes.append(contentsOf: ResponseHead.now())
        } else {
            bytes.append(contentsOf: ResponseHead.bytes(status, time(nil)))
        }
        append(String(body.utf8.count))
        if let retryAfter { append("\r\nRetry-After: \(retryAfter)") }
        append(keepAlive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n")
        if withBody { append(body) }
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    private mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }
}

/// The head of a response up to its length: the same for a second, in which the Date field does not change.
enum ResponseHead {
    private struct Cache {
        var second: time_t = -1
        var text: [UInt8] = []
    }

    // Proof: a worker of this server has one thread that serves. The supervisor never serves.
    nonisolated(unsafe) private static var cache = Cache()

    static func now() -> [UInt8] {
        let second = time(nil)
        if second != cache.second { cache = Cache(second: second, text: bytes(.ok, second)) }
        return cache.text
    }

    static func bytes(_ status: Status, _ second: time_t) -> [UInt8] {
        Array("HTTP/1.1 \(status.rawValue)\r\nDate: ".utf8) + DateField.format(second)
            + Array("\r\nContent-Type: text/plain\r\nContent-Length: ".utf8)
    }
}

/// The Date field's value (RFC 9110, 5.6.7).
enum DateField {
    static func format(_ second: time_t) -> [UInt8] {
        var second = second
        var parts = tm()
        gmtime_r(&second, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date =
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900)"
        return Array("\(date) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT".utf8)
    }
}
