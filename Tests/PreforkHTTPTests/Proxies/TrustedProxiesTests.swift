// Who a request's client is, by the fields of proxies that are trusted and of others.

import PreforkSystem
import Testing

@testable import PreforkHTTP

struct TrustedProxiesTests {
    private static let proxy = SocketAddress.ipv4(0x0A00_0001, port: 4_000)

    private func origin(
        _ fields: [(String, String)], from peer: SocketAddress = proxy, _ kind: TrustedProxies.Fields = .xForwarded,
        trusting addresses: [String] = ["10.0.0.0/8", "fd00::/8", "unix"]
    ) throws -> ClientOrigin {
        var all = HTTPFields()
        for (name, value) in fields { try all.append(name, value) }
        return ClientOrigin(all, from: peer, try TrustedProxies(addresses, fields: kind))
    }

    @Test func `Ranges contain what they say`() throws {
        let ten = try #require(AddressRange("10.1.2.3/8"))
        #expect(ten.contains(.ipv4(0x0AFF_FFFF, port: 1)) && !ten.contains(.ipv4(0x0B00_0000, port: 1)))
        #expect(ten.contains(.ipv6(0, 0xFFFF_0A00_0001, port: 1, scope: 0)), "an IPv4 address in IPv6")
        #expect(!ten.contains(.ipv6(0x0A00_0000_0000_0000, 0, port: 1, scope: 0)))
        let all = try #require(AddressRange("0.0.0.0/0"))
        #expect(all.contains(.ipv4(1, port: 0)) && !all.contains(.ipv6(1, 1, port: 0, scope: 0)))
        let six = try #require(AddressRange("2001:db8:0:1::/65"))
        #expect(six.contains(.ipv6(0x2001_0DB8_0000_0001, 0x7FFF_0000_0000_0000, port: 0, scope: 0)))
        #expect(!six.contains(.ipv6(0x2001_0DB8_0000_0001, 0x8000_0000_0000_0000, port: 0, scope: 0)))
        let one = try #require(AddressRange("192.0.2.7"))
        #expect(one.contains(.ipv4(0xC000_0207, port: 9)) && !one.contains(.ipv4(0xC000_0206, port: 9)))
        for text in ["", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "localhost", "10.0.0", "1.2.3.4/8/8"] {
            #expect(AddressRange(text) == nil, "\(text)")
        }
        #expect(throws: SystemError("TrustedProxies", .invalidArgument, on: "address host")) {
            try TrustedProxies(["10.0.0.0/8", "host"])
        }
    }

    @Test func `A peer that is no proxy is the client, whatever it says`() throws {
        let stranger = SocketAddress.ipv4(0xC000_0207, port: 5)
        let fields = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "b")]
        let origin = try origin(fields, from: stranger)
        #expect(origin.address == stranger && origin.scheme == nil && origin.host == nil)
        #expect(try self.origin(fields, from: .unix(path: ""), trusting: ["10.0.0.0/8"]).address == .unix(path: ""))
    }

    @Test func `The last address that is no proxy's is the client`() throws {
        for (value, client) in [
            ("203.0.113.9", SocketAddress.ipv4(0xCB00_7109, port: 0)), ("203.0.113.9, 10.0.0.9", .ipv4(0xCB00_7109, port: 0)),
            // What the client itself has sent stands in front.
            ("192.0.2.1, 203.0.113.9, 10.0.0.9 , 10.2.3.4", .ipv4(0xCB00_7109, port: 0)),
            ("10.0.0.8, 10.0.0.9", .ipv4(0x0A00_0008, port: 0)), ("203.0.113.9:81", .ipv4(0xCB00_7109, port: 81)),
            ("[2001:db8::1]:443, fd00::1", .ipv6(0x2001_0DB8_0000_0000, 1, port: 443, scope: 0)),
            ("unknown", Self.proxy), ("203.0.113.9, unknown", Self.proxy), ("", Self.proxy),
        ] {
            #expect(try origin([("X-Forwarded-For", value)]).address == client, "\(value)")
        }
        let several = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "203.0.113.9, 10.0.0.9")]
        #expect(try origin(several).address == .ipv4(0xCB00_7109, port: 0), "several fields are one list")
        #expect(try origin([("X-Forwarded-For", "203.0.113.9")], from: .unix(path: "")).address.port == 0)
        let long = [String](repeating: "10.0.0.1", count: 1_000).joined(separator: ",")
        #expect(try origin([("X-Forwarded-For", "203.0.113.9," + long)]).address == .ipv4(0x0A00_0001, port: 0))
    }

    @Test func `Scheme and host are the nearest proxy's`() throws {
        let origin = try origin([("X-Forwarded-Proto", "http, https"), ("X-Forwarded-Host", "evil, app.example:8443")])
        #expect(origin.scheme == "https" && origin.host == "app.example:8443")
        for host in ["a b", "a/b", "a@b", "a?b", String(repeating: "a", count: 256)] {
            #expect(try self.origin([("X-Forwarded-Host", host)]).host == nil, "\(host)")
        }
        #expect(try self.origin([("X-Forwarded-Proto", "ftp")]).scheme == nil)
    }

    @Test func `Forwarded is read as RFC 7239 says`() throws {
        for (value, client) in [
            ("for=203.0.113.9", SocketAddress.ipv4(0xCB00_7109, port: 0)),
            ("For=\"[2001:db8::1]:443\";proto=https;by=203.0.113.43", .ipv6(0x2001_0DB8_0000_0000, 1, port: 443, scope: 0)),
            ("for=192.0.2.1, for=203.0.113.9;proto=https, for=10.0.0.9", .ipv4(0xCB00_7109, port: 0)),
            ("for=_hidden", Self.proxy), ("for=203.0.113.9;for=192.0.2.1", Self.proxy), ("for", Self.proxy),
            ("for=\"203.0.113.9", Self.proxy), ("proto=https", Self.proxy),
            ("for=\"a, b\", for=203.0.113.9", .ipv4(0xCB00_7109, port: 0)),
        ] {
            #expect(try origin([("Forwarded", value)], .forwarded).address == client, "\(value)")
        }
        let origin = try origin([("Forwarded", "for=203.0.113.9;proto=https;host=\"app.example\"")], .forwarded)
        #expect(origin.scheme == "https" && origin.host == "app.example")
        #expect(try self.origin([("Forwarded", "for=203.0.113.9")]).address == Self.proxy, "not the field that is set")
    }

    @Test(arguments: 1...10) func `Arbitrary values are never a trap`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let pieces = ["for=", "10.0.0.1", ",", ";", "\"", "\\", "[", "]", ":", "::1", "proto=", "host=", " ", "=", "é", "1"]
        for _ in 0..<500 {
            let value = (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined()
            for (name, kind) in [("Forwarded", TrustedProxies.Fields.forwarded), ("X-Forwarded-For", .xForwarded)] {
                _ = try? origin([(name, value)], kind)
            }
        }
    }
}
