// Lines of the access log, in both formats, of any request.

import PreforkSystem
import Testing

@testable import PreforkHTTP

struct AccessLogEntryTests {
    private func line(
        _ form: AccessLog.Form, method: String = "GET", target: [UInt8] = Array("/a?b=c".utf8), referer: String? = nil,
        userAgent: String? = "curl/8.5.0", client: SocketAddress = .ipv4(0xC000_0207, port: 1), duration: Duration = .zero
    ) -> String {
        var writer = AccessLogWriter(form, taskID: 3)
        let (method, referer, userAgent) = (Array(method.utf8), referer.map { Array($0.utf8) }, userAgent.map { Array($0.utf8) })
        method.withUnsafeBytes { method in
            target.withUnsafeBytes { target in
                (referer ?? []).withUnsafeBytes { refererBytes in
                    (userAgent ?? []).withUnsafeBytes { agentBytes in
                        writer.append(
                            AccessLogEntry(
                                client: client, method: method, target: target, isHTTP11: true, status: 200, bodyBytes: 12,
                                referer: referer == nil ? nil : refererBytes, userAgent: userAgent == nil ? nil : agentBytes,
                                duration: duration, milliseconds: 1796094000042))
                    }
                }
            }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func `The combined format is Apache's`() {
        #expect(
            line(.combined)
                == "192.0.2.7 - - [01/Dec/2026:03:00:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 12 \"-\" \"curl/8.5.0\"\n")
        #expect(line(.combined, client: .ipv6(0x2001_0DB8_0000_0000, 1, port: 5, scope: 0)).hasPrefix("2001:db8::1 - - ["))
        #expect(line(.combined, client: .unix(path: "")).hasPrefix("unix - - ["))
        #expect(line(.combined, method: "", target: []).contains("] \"-\" 200"), "a refused request may have no line")
    }

    @Test func `Nothing that a client sends ends a quote or a line`() {
        let text = line(.combined, target: Array("/\"\\\n\u{1b}é".utf8), referer: "a\"b", userAgent: "\t")
        #expect(text.contains(#"GET /\x22\x5c\x0a\x1b\xc3\xa9 HTTP/1.1"#) && text.contains(#""a\x22b" "\x09""#))
        #expect(text.split(separator: "\n").count == 1)
        let object = line(.json, target: [0x2F, 0x22, 0x5C, 0x0A, 0xFF, 0xC3, 0xA9], referer: "a\"b")
        #expect(object.contains(#""target":"/\"\\\u000a\#u{FFFD}é","protocol""#) && object.contains(#""referer":"a\"b""#))
        #expect(object.split(separator: "\n").count == 1)
    }

    @Test func `A JSON line has the worker and the time that it took`() {
        let object = line(.json, userAgent: nil, duration: .microseconds(1_234_567))
        #expect(object.hasPrefix(#"{"time":"2026-12-01T03:00:00.042Z","client":"192.0.2.7","method":"GET","target":"/a?b=c","#))
        #expect(object.contains(#""status":200,"bytes":12,"duration":1.234567,"worker":3,"pid":"#))
        #expect(!object.contains("user_agent"))
    }

    @Test func `Long values are cut`() {
        let long = [UInt8](repeating: UInt8(ascii: "a"), count: 100_000)
        for form in [AccessLog.Form.combined, .json] { #expect(line(form, target: long).utf8.count < 1_400) }
    }
}
