// Values in bodies.

public import Foundation
import PreforkEventLoop
import PreforkTestSupport
import Testing

@testable public import PreforkHTTP

extension JSONDecoder: HTTPBodyDecoder {
    public func value<Value: Decodable>(_ type: Value.Type, of bytes: [UInt8]) throws -> Value {
        try decode(type, from: Data(bytes))
    }
}

extension JSONEncoder: HTTPBodyEncoder {
    public func bytes(of value: some Encodable) throws -> [UInt8] { [UInt8](try encode(value)) }
}

private struct Item: Codable, Equatable {
    var name: String
}

private struct Impossible: Encodable {
    func encode(to encoder: any Encoder) throws {
        throw EncodingError.invalidValue(self, .init(codingPath: [], debugDescription: "an impossible one"))
    }
}

@Suite(.timeLimit(.minutes(2))) struct HTTPCodingTests {
    private func server() throws -> TestServer {
        var options = HTTPServerOptions.patient
        options.bodyLimit = 100
        return try TestServer(options: options) { request in
            if request.path == "/impossible" { return try .json(Impossible(), by: JSONEncoder()) }
            if request.path == "/short" {
                return .text(try await request.body.decode(as: Item.self, by: JSONDecoder(), limit: 20).name)
            }
            let item: Item = try await request.body.decode(by: JSONDecoder())
            return try .json(item, by: JSONEncoder(), status: .created)
        }
    }

    private func post(_ path: String, _ body: String, keep: Bool = false) -> String {
        request("POST \(path)", "Content-Length: \(body.utf8.count)", keep: keep, body: body)
    }

    @Test func `A value comes in and goes out`() async throws {
        let server = try server()
        let answer = try server.answer(to: post("/", #"{ "name": "a" }"#))
        #expect(answer.hasPrefix("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n{\"name\":\"a\"}"))
        try await server.stop()
        #expect(server.reports == [])
    }

    @Test(arguments: ["", "{}", "{\"name\": 1}", "[", "\u{0}", "{\"name\": \"a\"} x"])
    func `What is no such value is 400, and the connection goes on`(body: String) async throws {
        let server = try server()
        let client = try Client(port: server.port)
        try client.send(post("/", body, keep: true))
        #expect(try client.response() == (400, "400 Bad Request\n"))
        try client.send(post("/", #"{"name":"b"}"#, keep: true))
        #expect(try client.response() == (201, "{\"name\":\"b\"}"))
        try await server.stop()
        #expect(server.reports == [], "it is the client's fault, and no line")
    }

    @Test func `Limits hold, and what cannot be encoded is the program's fault`() async throws {
        let server = try server()
        let long = #"{"name":"\#(String(repeating: "x", count: 100))"}"#
        #expect(try server.answer(to: post("/", long)).hasPrefix("HTTP/1.1 413 "))
        #expect(try server.answer(to: post("/short", #"{"name":"0123456789"}"#)).hasPrefix("HTTP/1.1 413 "))
        #expect(try server.answer(to: post("/short", #"{"name":"01234567"}"#)).hasSuffix("\r\n\r\n01234567"))
        #expect(server.reports == [])
        #expect(try server.answer(to: post("/impossible", "")).hasPrefix("HTTP/1.1 500 "))
        try await server.stop()
        #expect(server.reports.count == 1)
    }

    @Test func `The error says what the decoder said, in one line`() {
        let error = HTTPError(.undecodableBody(reason: "a\nb\u{1B}"))
        #expect(error.description.hasPrefix("the body cannot be decoded: a") && !error.description.contains("\n"))
    }
}
