// Programs of the shapes of Hummingbird's documentation and examples, on PreforkHTTP.

import Foundation
import Glibc
import Testing

@Suite("Shapes of Hummingbird's documentation on the workers' own loops", .serialized, .timeLimit(.minutes(5)))
struct DocumentedShapesTests {
    /// Runs the program with one worker, whose memory the requests then have in common.
    private func run(
        form: String = "", environment: [String: String] = [:],
        _ body: @escaping @Sendable (Session) throws -> Void
    ) async throws {
        let program = try ServerProgram(
            "documented-server", workers: 1, environment: environment.merging(["FORM": form]) { first, _ in first })
        let port = try await program.port()
        try await blocking { try body(try Session(port: port)) }
        program.send(SIGTERM)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(!program.isAnybodyLeft)
    }

    @Test("A REST service on a repository in memory")
    func todos() async throws {
        try await run { (session: Session) throws in
            #expect(try session.ask("GET /").body == Array("Hello".utf8))
            #expect(try session.ask("GET /todos").text == "[]")
            let created = try session.ask("POST /todos", "Content-Type: application/json", body: #"{"title":"one"}"#)
            #expect(created.status == "HTTP/1.1 201 Created")
            let place = try #require(created.fields.first { $0.hasPrefix("location: ") }?.dropFirst(10))
            // JSONEncoder writes keys in any order.
            let first = try created.todo
            #expect(first.title == "one" && place == "/todos/\(first.id)")
            #expect(try session.ask("GET \(place)").todo == first)
            let changed = try session.ask("PATCH \(place)", "Content-Type: application/json", body: #"{"isDone":true}"#)
            #expect(try changed.todo == Item(id: first.id, title: "one", isDone: true))
            #expect(try session.ask("GET /todos").text.contains("\(first.id)"))
            #expect(try session.ask("DELETE \(place)").status == "HTTP/1.1 200 OK")
            #expect(try session.ask("DELETE \(place)").status == "HTTP/1.1 404 Not Found")
            #expect(try session.ask("GET \(place)").status == "HTTP/1.1 204 No Content")
            let refused = try session.ask("PATCH \(place)", "Content-Type: application/json", body: "{}")
            #expect(refused.status == "HTTP/1.1 404 Not Found" && refused.text.contains("no such todo"))
            #expect(try session.ask("POST /todos", body: "{").status == "HTTP/1.1 400 Bad Request")
            #expect(try session.ask("GET /todos/none").status == "HTTP/1.1 400 Bad Request")
            // Above the context's limit. The client sends all of it before it reads, and gets its answer.
            let large = String(repeating: " ", count: 8 << 20)
            let last = try session.ask("POST /todos", "Content-Type: application/json", body: large)
            #expect(last.status == "HTTP/1.1 413" && last.fields.contains("connection: close"))
        }
    }

    @Test("A form and its page, and what is kept between requests")
    func forms() async throws {
        try await run { (session: Session) throws in
            let page = try session.ask("GET /form")
            #expect(page.fields.contains("content-type: text/html") && page.text.hasPrefix("<form"))
            let type = "Content-Type: application/x-www-form-urlencoded"
            #expect(try session.ask("POST /form", type, body: "name=Ada+L%C3%B6ve&age=36").text == "<p>Ada Löve is 36</p>")
            #expect(try session.ask("POST /form", type, body: "name=Ada&age=old").status == "HTTP/1.1 400 Bad Request")
            #expect(try session.ask("GET /notes/a").status == "HTTP/1.1 204 No Content")
            #expect(try session.ask("PUT /notes/a", body: "b").status == "HTTP/1.1 200 OK")
            #expect(try session.ask("GET /notes/a").text == "b")
        }
    }

    @Test("Server-sent events come one by one, with a trailer of a middleware")
    func events() async throws {
        try await run { (session: Session) throws in
            let answer = try session.ask("GET /events/3", "TE: trailers")
            #expect(answer.fields.contains("content-type: text/event-stream"))
            let parts = answer.text.components(separatedBy: "\r\n")
            #expect(
                parts.dropLast(2) == [
                    "9", "data: 0\n\n", "9", "data: 1\n\n", "9", "data: 2\n\n", "0", "X-Checksum: 3762554881",
                ], "\(parts)")
        }
    }

    @Test("A client that leaves its events ends their writer")
    func leaving() async throws {
        let program = try ServerProgram("documented-server", workers: 1)
        let port = try await program.port()
        try await blocking { () throws in
            let connection = try RawConnection(port: port)
            try connection.send(Array("GET /events/1000000 HTTP/1.1\r\nHost: test\r\n\r\n".utf8))
            #expect(try connection.begin(of: 2).contains("data: 1\n"))
        }
        try await eventually("the writer has ended\n\(program.errors)") { program.output.contains("events ended early") }
        program.send(SIGTERM)
        #expect(try await program.waitForExit() == 0)
    }

    @Test("A router of HummingbirdRouter")
    func builder() async throws {
        try await run(form: "builder") { (session: Session) throws in
            #expect(try session.ask("GET /hello").text == "Hello")
            #expect(try session.ask("GET /people/Ada").text == "Hello Ada")
            #expect(try session.ask("POST /people", body: String(repeating: "x", count: 100_000)).text == "100000 bytes")
            #expect(try session.ask("GET /nothing").status == "HTTP/1.1 404 Not Found")
        }
    }

    @Test("Uploads into files, downloads, and static files with ranges, by a router that the worker makes")
    func files() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "prefork-documented-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("<h1>index</h1>".utf8).write(to: URL(filePath: "\(folder)/index.html"))
        try await run(form: "files", environment: ["FOLDER": folder]) { (session: Session) throws in
            #expect(try session.ask("GET /").text == "<h1>index</h1>")
            let text = String(repeating: "0123456789", count: 200_000)
            let uploaded = try session.ask("POST /files", "File-Name: large", body: text)
            #expect(uploaded.text == #"{"name":"large"}"#)
            let back = try session.ask("GET /files/large")
            #expect(back.text == text && back.fields.contains(#"content-disposition: attachment;filename="large""#))
            let part = try session.ask("GET /large", "Range: bytes=1000000-1000011")
            #expect(part.status == "HTTP/1.1 206 Partial Content" && part.text == "012345678901")
            #expect(try session.ask("GET /files/none").status == "HTTP/1.1 404 Not Found")
        }
    }
}

private struct Item: Decodable, Equatable {
    var id: UUID
    var title: String
    var isDone: Bool
}

/// One kept connection.
final class Session: @unchecked Sendable {
    // Sendable: used by the one thread that the test's body runs on.
    private let connection: RawConnection

    init(port: UInt16) throws {
        connection = try RawConnection(port: port)
    }

    func ask(_ line: String, _ fields: String..., body: String? = nil) throws -> RawAnswer {
        let length = body.map { ["Content-Length: \($0.utf8.count)"] } ?? []
        let head = ["\(line) HTTP/1.1", "Host: test"] + fields + length
        try connection.send(Array((head.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")).utf8))
        return try connection.answer(toHead: false)
    }
}

extension RawAnswer {
    /// The body, as it was sent.
    var text: String { String(decoding: body, as: UTF8.self) }

    fileprivate var todo: Item { get throws { try JSONDecoder().decode(Item.self, from: Data(body)) } }
}
