// What the fields of trusted proxies say of a request's client.

import PreforkSystem

/// Where a request came from, as far as trusted proxies have said it.
struct ClientOrigin: Hashable, Sendable {
    var address: SocketAddress
    /// `https` or `http`, of the client's connection to the first trusted proxy. nil if it was not said.
    var scheme: String?
    /// The host that the client has asked for. nil if it was not said.
    var host: String?

    /// More members are not read: then the client is the last one that was.
    static let memberLimit = 32

    /// - Parameters:
    ///   - fields: the request's.
    ///   - peer: the connection's, or what the PROXY protocol has said of it.
    ///   - proxies: nil if no peer is believed.
    init(_ fields: HTTPFields, from peer: SocketAddress, _ proxies: TrustedProxies?) {
        address = peer
        guard let proxies, proxies.contains(peer) else { return }
        switch proxies.fields {
        case .forwarded: readForwarded(fields.values(of: "Forwarded"), proxies)
        case .xForwarded: readXForwarded(fields, proxies)
        }
    }

    private mutating func readXForwarded(_ fields: HTTPFields, _ proxies: TrustedProxies) {
        for text in Self.members(fields.values(of: "X-Forwarded-For")).reversed().prefix(Self.memberLimit) {
            guard let next = Self.node(text) else { break }
            address = next
            if !proxies.contains(next) { break }
        }
        // One proxy writes one value, and the nearest one is the only one that is known to be trusted.
        scheme = Self.members(fields.values(of: "X-Forwarded-Proto")).last.flatMap(Self.scheme)
        host = Self.members(fields.values(of: "X-Forwarded-Host")).last.flatMap(Self.host)
    }

    private mutating func readForwarded(_ values: [String], _ proxies: TrustedProxies) {
        for text in Self.members(values).reversed().prefix(Self.memberLimit) {
            guard let pairs = Self.pairs(text) else { return }
            if let said = pairs["proto"].flatMap(Self.scheme) { scheme = said }
            if let said = pairs["host"].flatMap(Self.host) { host = said }
            guard let next = pairs["for"].flatMap(Self.node) else { return }
            address = next
            if !proxies.contains(next) { return }
        }
    }

    /// The members of lists with commas, outside of quotes.
    private static func members(_ values: [String]) -> [Substring] {
        var members: [Substring] = []
        for value in values {
            var (start, isQuoted, isEscaped) = (value.startIndex, false, false)
            for index in value.utf8.indices {
                switch value.utf8[index] {
                case _ where isEscaped: isEscaped = false
                case UInt8(ascii: "\\") where isQuoted: isEscaped = true
                case UInt8(ascii: "\""): isQuoted.toggle()
                case UInt8(ascii: ",") where !isQuoted:
                    members.append(value[start..<index])
                    start = value.utf8.index(after: index)
                default: break
                }
            }
            members.append(value[start...])
        }
        return members.map(trimmed).filter { !$0.isEmpty }
    }

    /// The pairs of one member of Forwarded, by their names in lower case. nil if it is malformed, or says one thing twice.
    private static func pairs(_ member: Substring) -> [String: Substring]? {
        var pairs: [String: Substring] = [:]
        for part in member.split(separator: ";", omittingEmptySubsequences: true) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { return nil }
            var value = trimmed(pair[1])
            if value.first == "\"" {
                guard value.count >= 2, value.last == "\"" else { return nil }
                value = value.dropFirst().dropLast()
                // No address, scheme or host has a character that must be escaped.
                if value.contains("\\") { return nil }
            }
            if pairs.updateValue(value, forKey: trimmed(pair[0]).lowercased()) != nil { return nil }
        }
        return pairs
    }

    /// `192.0.2.7`, `192.0.2.7:1234`, `[2001:db8::1]`, `[2001:db8::1]:1234`, `2001:db8::1`. nil for names such as `unknown`
    /// and `_hidden`.
    static func node(_ text: Substring) -> SocketAddress? {
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]"),
                let address = SocketAddress(ip: String(text[text.index(after: text.startIndex)..<end]))
            else { return nil }
            return port(text[text.index(after: end)...]).map { address.with(port: $0) }
        }
        if let address = SocketAddress(ip: String(text)) { return address }
        guard let colon = text.firstIndex(of: ":"), let address = SocketAddress(ip: String(text[..<colon])) else { return nil }
        return port(text[colon...]).map { address.with(port: $0) }
    }

    /// Of `:1234`. No port is 0.
    private static func port(_ text: Substring) -> UInt16? {
        if text.isEmpty { return 0 }
        guard text.first == ":", text.dropFirst().utf8.allSatisfy(\.isDigit) else { return nil }
        return UInt16(text.dropFirst())
    }

    private static func scheme(_ text: Substring) -> String? {
        switch text.lowercased() {
        case "https", "wss": "https"
        case "http", "ws": "http"
        default: nil
        }
    }

    /// A host with or without a port. What it names is the program's to check.
    private static func host(_ text: Substring) -> String? {
        let isHost = text.utf8.allSatisfy { byte in
            byte > 32 && byte < 127 && !"/\\@?#\"<>^`{|}".utf8.contains(byte)
        }
        return isHost && !text.isEmpty && text.utf8.count <= 255 ? String(text) : nil
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isSpace = { (character: Character) in character == " " || character == "\t" }
        return text.drop(while: isSpace).dropLast(text.reversed().prefix(while: isSpace).count)
    }
}
