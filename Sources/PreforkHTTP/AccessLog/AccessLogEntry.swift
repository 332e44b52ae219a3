// A line of the access log.

import PreforkSystem

/// What is written of one request.
struct AccessLogEntry {
    var client: SocketAddress
    /// Bytes of a refused request may be anything.
    var method: UnsafeRawBufferPointer
    var target: UnsafeRawBufferPointer
    var isHTTP11: Bool
    var status: Int
    /// Bytes of the body that went to the client.
    var bodyBytes: Int
    var referer: UnsafeRawBufferPointer?
    var userAgent: UnsafeRawBufferPointer?
    /// From the head's last byte until the response was made.
    var duration: Duration
    /// Since 1970.
    var milliseconds = WallClock.milliseconds

    /// Longer values are cut: a line stays below what a pipe takes in one piece (PIPE_BUF).
    static let valueLimit = 1_024
}

/// Writes lines into a buffer that is used again and again.
struct AccessLogWriter {
    private(set) var bytes: [UInt8] = []
    private var second = Int64(-1)
    private var clock: [UInt8] = []
    private let form: AccessLog.Form
    private let taskID: Int?

    init(_ form: AccessLog.Form, taskID: Int?) {
        self.form = form
        self.taskID = taskID
    }

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    mutating func append(_ entry: AccessLogEntry) {
        if bytes.isEmpty { bytes.reserveCapacity(512) }
        switch form {
        case .combined: appendCombined(entry)
        case .json: appendJSON(entry)
        }
    }

    private mutating func appendCombined(_ entry: AccessLogEntry) {
        bytes.append(contentsOf: Self.host(entry.client).utf8)
        add(" - - [")
        addClock(entry.milliseconds)
        add("] \"")
        if entry.method.isEmpty {
            add("-")
        } else {
            addQuoted(entry.method)
            add(" ")
            addQuoted(entry.target)
            add(entry.isHTTP11 ? " HTTP/1.1" : " HTTP/1.0")
        }
        add("\" ")
        add(decimal: entry.status)
        add(" ")
        add(decimal: entry.bodyBytes)
        add(" \"")
        addQuoted(entry.referer)
        add("\" \"")
        addQuoted(entry.userAgent)
        add("\"\n")
    }

    /// As Apache httpd and nginx escape: what could end the quotes or the line, and what is not ASCII, is written as `\x`
    /// and two hexadecimal digits.
    private mutating func addQuoted(_ value: UnsafeRawBufferPointer?) {
        guard let value, !value.isEmpty else { return add("-") }
        for byte in value.prefix(AccessLogEntry.valueLimit) {
            if byte >= 32, byte < 127, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                bytes.append(byte)
            } else {
                add("\\x")
                bytes.append(Self.digits.utf8Start[Int(byte >> 4)])
                bytes.append(Self.digits.utf8Start[Int(byte & 15)])
            }
        }
    }

    /// `01/Dec/2026:03:00:00 +0000`, in UTC.
    private mutating func addClock(_ milliseconds: Int64) {
        if milliseconds / 1_000 != second {
            second = milliseconds / 1_000
            // Thu, 01 Dec 2026 03:00:00 GMT
            let date = HTTPDate.bytes(secondsSince1970: Int(second))
            clock.removeAll(keepingCapacity: true)
            clock += date[5..<7] + [UInt8(ascii: "/")] + date[8..<11] + [UInt8(ascii: "/")] + date[12..<16]
            clock += [UInt8(ascii: ":")] + date[17..<25]
            clock += Array(" +0000".utf8)
        }
        bytes += clock
    }

    private mutating func appendJSON(_ entry: AccessLogEntry) {
        add("{\"time\":\"")
        bytes.append(contentsOf: WallClock.timestamp(of: entry.milliseconds).utf8)
        add("\",\"client\":\"")
        bytes.append(contentsOf: Self.host(entry.client).utf8)
        add("\",\"method\":")
        addString(entry.method)
        add(",\"target\":")
        addString(entry.target)
        add(entry.isHTTP11 ? ",\"protocol\":\"HTTP/1.1\"" : ",\"protocol\":\"HTTP/1.0\"")
        add(",\"status\":")
        add(decimal: entry.status)
        add(",\"bytes\":")
        add(decimal: entry.bodyBytes)
        add(",\"duration\":")
        addSeconds(entry.duration)
        if let referer = entry.referer {
            add(",\"referer\":")
            addString(referer)
        }
        if let userAgent = entry.userAgent {
            add(",\"user_agent\":")
            addString(userAgent)
        }
        if let taskID {
            add(",\"worker\":")
            add(decimal: taskID)
        }
        add(",\"pid\":")
        add(decimal: Int(CurrentProcess.pid))
        add("}\n")
    }

    /// Bytes that are no UTF-8 are replaced (U+FFFD), so that every line is valid JSON.
    private mutating func addString(_ value: UnsafeRawBufferPointer) {
        bytes.append(UInt8(ascii: "\""))
        let value = UnsafeRawBufferPointer(rebasing: value.prefix(AccessLogEntry.valueLimit))
        if value.allSatisfy({ $0 < 128 }) {
            for byte in value { addCharacter(byte) }
        } else {
            for byte in String(decoding: value, as: UTF8.self).utf8 { addCharacter(byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func addCharacter(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0..<32, 127:
            add("\\u00")
            bytes.append(Self.digits.utf8Start[Int(byte >> 4)])
            bytes.append(Self.digits.utf8Start[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }

    /// With six places.
    private mutating func addSeconds(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        add(decimal: Int(clamping: max(0, seconds)))
        add(".")
        let micros = Int(max(0, attoseconds) / 1_000_000_000_000)
        bytes.append(contentsOf: String(micros + 1_000_000).utf8.dropFirst())
    }

    private static let digits: StaticString = "0123456789abcdef"

    /// Without a port. `unix` for clients at a Unix socket.
    private static func host(_ address: SocketAddress) -> String {
        switch address {
        case .ipv4: String(address.description.prefix { $0 != ":" })
        case .ipv6: String(address.description.dropFirst().prefix { $0 != "]" })
        case .unix: "unix"
        case .other: "-"
        }
    }

    private mutating func add(_ text: StaticString) { bytes.append(contentsOf: text.bytes) }

    private mutating func add(decimal number: Int) {
        bytes.append(contentsOf: String(number).utf8)
    }
}
