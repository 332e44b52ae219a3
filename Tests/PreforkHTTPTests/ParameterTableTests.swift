// Every public parameter of PreforkHTTP with values that make no sense.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkHTTP",
            reasons: WebSocketParameters.reasons.merging([
                "HTTPError.Code": "what the library tells", "AddressRange.contains.address": "every value is an address",
                "TrustedProxies.contains.peer": "every value is an address",
                "HTTPResponse.resumableStream.handoverVersions": "every value is a version, and no range is empty",
                "WebSocketOptions.handoverVersions": "every value is a version, and no range is empty",
            ]) { first, _ in first })
    }

    private static let table: [ParameterRow] = names + fields + responses + bodies + options + proxies
        + WebSocketParameters.rows + FilesParameters.rows

    private static let names: [ParameterRow] =
        Parameter.text(
            "HTTPMethod.init.name", empty: .means("the method of no request"), huge: .means("a method"),
            other: .means("the method of no request")
        ) { mustHold(HTTPMethod($0).name == $0) }
        + Parameter.number(
            "HTTPStatus.init.code", zero: .means("nil"), negative: .means("nil"), huge: .means("nil")
        ) { (code: Int) in mustHold(HTTPStatus(code) == nil) }

    private static let refused = Outcome.refused("a field that cannot be sent")

    private static func changed(_ change: (inout HTTPFields) throws -> Void) throws {
        var fields: HTTPFields = ["A": "1"]
        try change(&fields)
    }

    private static let changes: [(String, @Sendable (inout HTTPFields, String, String) throws -> Void)] = [
        ("append", { fields, name, value in try fields.append(name, value) }),
        ("set", { fields, name, value in try fields.set(name, value) }),
    ]

    private static let fields: [ParameterRow] = fieldNames + fieldValues + fieldLookups

    private static let fieldNames: [ParameterRow] = changes.flatMap { call, change in
        Parameter.text(
            "HTTPFields.\(call).name", empty: refused, huge: .means("a name"), nul: refused, controls: refused,
            dots: refused, foreign: refused
        ) { name in try changed { try change(&$0, name, "x") } }
    }

    private static let fieldValues: [ParameterRow] = changes.flatMap { call, change in
        Parameter.text(
            "HTTPFields.\(call).value", empty: .means("an empty value"), huge: .means("a value"), nul: refused,
            controls: refused, dots: .means("a value"), foreign: .means("UTF-8")
        ) { value in
            try changed { fields in
                try change(&fields, "B", value)
                mustHold(fields["b"] == value)
            }
        }
    }

    private static let fieldLookups: [ParameterRow] = lookups.flatMap { parameter, look in
        Parameter.text(
            parameter, empty: .means("no field"), huge: .means("no field"), other: .means("no field")
        ) { name in try changed { mustHold(!look(&$0, name)) } }
    }

    private static let lookups: [(String, @Sendable (inout HTTPFields, String) -> Bool)] = [
        ("HTTPFields.values.of", { !$0.values(of: $1).isEmpty }), ("HTTPFields.contains.name", { $0.contains($1) }),
        ("HTTPFields.contains.name", { $0.contains($1, token: "1") }),
        ("HTTPFields.contains.token", { $0.contains("A", token: $1) }),
        ("HTTPFields.withValue.of", { $0.withValue(of: $1) { _ in true } ?? false }),
        (
            "HTTPFields.remove.name",
            {
                $0.remove($1)
                return $0.count != 1
            }
        ),
    ]

    /// What a client gets for `GET /`: the head, and the body's bytes.
    private static func answer(
        _ request: String = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) async throws -> (head: String, body: [UInt8]) {
        let server = try TestServer(handler)
        let client = try Client(port: server.port)
        try client.send(request)
        var bytes: [UInt8] = []
        while case let more = try client.receive(), !more.isEmpty { bytes += more }
        try await server.stop()
        let end = bytes.withUnsafeBytes { $0.firstOffset(of: Array("\r\n\r\n".utf8)) } ?? bytes.count - 4
        return (String(decoding: bytes[..<(end + 2)], as: UTF8.self), Array(bytes[(end + 4)...]))
    }

    private static let texts: [(String, @Sendable (String) -> HTTPResponse)] = [
        ("HTTPResponse.text.text", { .text($0) }), ("HTTPResponse.html.page", { .html($0) }),
        ("HTTPResponse.json.text", { .json($0) }), ("HTTPResponse.Body.text.text", { HTTPResponse(body: .text($0)) }),
        ("HTTPBodyWriter.write.text", { text in .stream(count: text.utf8.count) { try await $0.write(text) } }),
    ]

    private static let lists: [(String, @Sendable ([UInt8]) -> HTTPResponse)] = [
        ("HTTPResponse.json.bytes", { .json($0) }), ("HTTPResponse.bytes.bytes", { .bytes($0) }),
        ("HTTPResponse.Body.bytes.bytes", { HTTPResponse(body: .bytes($0)) }),
        ("HTTPBodyWriter.write.bytes", { bytes in .stream(count: bytes.count) { try await $0.write(bytes) } }),
    ]

    private static let responses: [ParameterRow] = responseTexts + responseLists + responseCounts + responseNames

    private static let responseTexts: [ParameterRow] = texts.flatMap { parameter, response in
            Parameter.text(
                parameter, empty: .means("no byte"), huge: .means("a body"), other: .means("its UTF-8")
            ) { text in
                let answer = try await answer { _ in response(text) }
                mustHold(answer.head.contains("\r\nContent-Length: \(text.utf8.count)\r\n"))
                mustHold(answer.body == Array(text.utf8))
            }
        }

    private static let responseLists: [ParameterRow] = lists.flatMap { parameter, response in
            Parameter.list(
                parameter, of: UInt8(7), empty: .means("no byte"), huge: .means("a body")
            ) { bytes in
                let answer = try await answer { _ in response(bytes) }
                mustHold(answer.head.contains("\r\nContent-Length: \(bytes.count)\r\n") && answer.body == bytes)
            }
        }

    private static let responseCounts: [ParameterRow] =
        ["HTTPResponse.stream.count", "HTTPResponse.Body.stream.count"].flatMap { parameter in
            Parameter.number(
                parameter, zero: .means("no byte"), negative: .means("500"), huge: .means("a body that is too short")
            ) { (count: Int) in
                let answer = try await answer { _ in
                    parameter.contains("Body")
                        ? HTTPResponse(body: .stream(count: count) { _ in }) : .stream(count: count) { _ in }
                }
                mustHold(answer.head.hasPrefix(count == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 500 "))
            }
        }

    private static let responseNames: [ParameterRow] =
        Parameter.text(
            "HTTPResponse.redirect.to", empty: .means("this page"), huge: .means("a URI"), nul: refused,
            controls: refused, dots: .means("a relative URI"), foreign: .means("UTF-8")
        ) { mustHold(try HTTPResponse.redirect(to: $0).fields["Location"] == $0) }
        + Parameter.text(
            "HTTPResponse.upgrade.to", empty: .means("426"), huge: .means("426"), nul: .means("500"),
            controls: .means("500"), dots: .means("426"), foreign: .means("426")
        ) { name in
            let answer = try await answer { _ in .upgrade(to: name) { _ in } }
            mustHold(answer.head.hasPrefix("HTTP/1.1 426 ") || answer.head.hasPrefix("HTTP/1.1 500 "))
        }

    /// Takes the two bytes for a number.
    private struct Digits: HTTPBodyDecoder {
        func value<Value: Decodable>(_ type: Value.Type, of bytes: [UInt8]) throws -> Value {
            guard let value = Int(String(decoding: bytes, as: UTF8.self)) as? Value else { throw HTTPError(.malformedBody) }
            return value
        }
    }

    private static let readings: [(String, @Sendable (HTTPBody, Int) async throws -> Void)] = [
        ("HTTPBody.collect.limit", { _ = try await $0.collect(limit: $1) }),
        ("HTTPBody.decode.limit", { _ = try await $0.decode(as: Int.self, by: Digits(), limit: $1) }),
    ]

    private static let bodies: [ParameterRow] = readings.flatMap { parameter, read in
        Parameter.number(
            parameter, zero: .means("413"), negative: .means("413"), huge: .means("no limit")
        ) { (limit: Int) in
            let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7"
            let answer = try await answer(post) { request in
                try await read(request.body, limit)
                return .noContent
            }
            mustHold(answer.head.hasPrefix(limit > 0 ? "HTTP/1.1 204 " : "HTTP/1.1 413 "))
        }
    }

    private static func serve(limit: Int = 10, _ change: (inout HTTPServerOptions) -> Void) async throws {
        var options = HTTPServerOptions()
        change(&options)
        let (changed, listener) = (options, try Listener(.tcp("127.0.0.1", 0)))
        defer { listener.close() }
        let loop = try EventLoop()
        loop.stopRequest.request(.service)
        try loop.run { try await listener.serveHTTP(limit: limit, options: changed) { _ in .noContent } }
    }

    private static let times: [(String, any WritableKeyPath<HTTPServerOptions, Duration> & Sendable)] = [
        ("headTimeout", \.headTimeout), ("bodyTimeout", \.bodyTimeout), ("keepAliveTimeout", \.keepAliveTimeout),
        ("writeTimeout", \.writeTimeout),
    ]

    private static let refusedAddress = Outcome.refused("address ")

    private static let proxies: [ParameterRow] =
        Parameter.text(
            "AddressRange.init.text", empty: .means("nil"), huge: .means("nil"), other: .means("nil")
        ) { mustHold(AddressRange($0) == nil) }
        + Parameter.text(
            "TrustedProxies.init.addresses", empty: refusedAddress, huge: refusedAddress, nul: refusedAddress,
            controls: refusedAddress, dots: refusedAddress, foreign: refusedAddress
        ) { _ = try TrustedProxies([$0]) }

    private static let options: [ParameterRow] = timeOptions + limitOptions

    private static let timeOptions: [ParameterRow] = times.flatMap { name, path in
            Parameter.duration(
                "HTTPServerOptions.\(name)", zero: .refused(name), negative: .refused(name), huge: .means("no deadline")
            ) { time in try await serve { $0[keyPath: path] = time } }
        }

    private static let limitOptions: [ParameterRow] =
        Parameter.number(
            "HTTPServerOptions.headLimit", zero: .refused("headLimit 0"), negative: .refused("headLimit -"),
            huge: .refused("headLimit 9")
        ) { (limit: Int) in try await serve { $0.headLimit = limit } }
        + Parameter.number(
            "HTTPServerOptions.fieldLimit", zero: .refused("fieldLimit 0"), negative: .refused("fieldLimit -"),
            huge: .means("no limit")
        ) { (limit: Int) in try await serve { $0.fieldLimit = limit } }
        + Parameter.number(
            "HTTPServerOptions.bodyLimit", zero: .means("no body"), negative: .refused("bodyLimit -"),
            huge: .means("no limit")
        ) { (limit: Int) in try await serve { $0.bodyLimit = limit } }
        + Parameter.number(
            "HTTPServerOptions.minimumRate", zero: .means("no rate"), negative: .refused("minimumRate -"),
            huge: .means("the grace alone")
        ) { (rate: Int) in try await serve { $0.minimumRate = rate } }
        + Parameter.number(
            "Listener.serveHTTP.limit", zero: .refused("0 connections"), negative: .refused("-"),
            huge: .means("no limit")
        ) { (limit: Int) in try await serve(limit: limit) { _ in } }
}
