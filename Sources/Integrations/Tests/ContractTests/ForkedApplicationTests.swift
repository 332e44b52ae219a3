// Hummingbird's applications on forked workers.

import Glibc
import Testing

@Suite("Hummingbird's applications and routers on the workers' own loops", .serialized, .timeLimit(.minutes(5)))
struct ForkedApplicationTests {
    static let application = Subject.http("application-server")

    @Test("The program of Hummingbird's README runs with the type's name changed")
    func readme() async throws {
        let program = try ServerProgram("readme-server", workers: 2)
        let port = try await program.port()
        let answer = try await blocking {
            let connection = try RawConnection(port: port)
            try connection.send(Array("GET /hello HTTP/1.1\r\nHost: test\r\n\r\n".utf8))
            return try connection.answer(toHead: false)
        }
        #expect(answer.status == "HTTP/1.1 200 OK")
        #expect(answer.body == Array("Hello".utf8))
        program.send(SIGTERM)
        #expect(try await program.waitForExit() == 0)
        #expect(!program.isAnybodyLeft)
    }

    @Test("Services start before the server and end after it in reverse order, in each worker")
    func services() async throws {
        let server = try await RunningServer(Self.application, workers: 2)
        try await server.waitUntilAllAnswer(server.program.workers)
        let workers = server.program.workers
        try await server.stop()
        for worker in workers {
            let own = server.program.output.split(separator: "\n").filter { $0.hasPrefix("\(worker): ") }
                .map { $0.dropFirst("\(worker): ".count) }
            // Those of one group start side by side: which of them says so first is not decided.
            #expect(Set(own.prefix(3)) == ["first open", "second open", "prepared"])
            #expect(own.dropFirst(3) == ["running", "second closed", "first closed"])
        }
    }

    @Test("What cannot be forked is refused with the reason", arguments: [
        ("service", "cannot be a service of a group"), ("threads", "because this process has "),
        ("delegate", "no availableConnectionsDelegate"),
    ])
    func refuses(form: String, reason: String) async throws {
        let program = try ServerProgram("refused-server", workers: 1, environment: ["FORM": form])
        #expect(try await program.waitForExit() == 65)
        #expect(program.output.contains("refused: a ForkedApplication"), "\(program.output)\n\(program.errors)")
        #expect(program.output.contains(reason), "\(program.output)")
        #expect(!program.isAnybodyLeft)
    }

    @Test("Server and Date are those of the server, once each")
    func fields() async throws {
        let server = try await RunningServer(Self.application, workers: 1)
        let answer = try await blocking { [port = server.port] in
            let connection = try RawConnection(port: port)
            try connection.send(Array("GET / HTTP/1.1\r\nHost: test\r\n\r\n".utf8))
            return try connection.answer(toHead: false)
        }
        #expect(answer.fields.filter { $0.hasPrefix("server:") } == ["server: application"])
        try await server.stop()
    }

    @Test("A request whose handler has crashed its worker is refused while it is in quarantine",
        arguments: [.http("router-server"), .http("application-server")] as [Subject])
    func quarantine(subject: Subject) async throws {
        let server = try await RunningServer(subject, workers: 1, environment: ["PREFORK_QUARANTINE": "1/300s"])
        let victim = try #require(server.program.workers.first)
        let lost = try await subject.makeCaller(server.port, true)
        await #expect(throws: CallError.self) { try await lost.ask(.crash) }
        try await eventually("a successor\n\(server.program.errors)") {
            server.program.workers.count == 1 && !server.program.workers.contains(victim)
        }
        let next = try await subject.makeCaller(server.port, true)
        let refused = await #expect(throws: CallError.self) { try await next.ask(.crash) }
        #expect(refused?.description.contains("status 503") == true, "\(String(describing: refused))")
        #expect(try await next.ask(.who) == "\(server.program.workers.first ?? 0)")
        try await server.stop()
    }

    @Test("A worker of Hummingbird's own server listens nowhere but on the inherited listener")
    func noOtherPort() async throws {
        let server = try await RunningServer(.http("hummingbird-server"), workers: 1)
        try await server.waitUntilAllAnswer(server.program.workers)
        let worker = try #require(server.program.workers.first)
        let own = Set(try sockets(of: worker))
        // proc_pid_net(5): the state 0A is LISTEN, and the inode is the tenth column.
        let tcp = try table("/proc/\(worker)/net/tcp") + table("/proc/\(worker)/net/tcp6")
        let listening = tcp.filter { $0.count > 9 && $0[3] == "0A" && own.contains($0[9]) }
        #expect(listening.count == 1, "\(listening)")
        // Flags 00010000: it accepts. The eighth column is the name that it was bound to.
        let unix = try table("/proc/\(worker)/net/unix").filter { $0.count > 7 && $0[3] == "00010000" }
        let named = unix.filter { own.contains($0[6]) }.map { $0[7] }
            .filter { $0.contains("/prefork-") && $0.hasSuffix("/server") }
        #expect(named.count == 1, "\(unix)")
        for path in named { #expect(access(path, F_OK) == -1 && errno == ENOENT, "\(path) is still there") }
        try await server.stop()
    }

    @Test("Requests and responses keep their parts in the types of swift-http-types")
    func types() async throws {
        let server = try await RunningServer(.http("types-server"), workers: 1)
        let answers = try await blocking { [port = server.port] in
            let connection = try RawConnection(port: port)
            let fields = "X-A: 1\r\nx-a: 2\r\nCookie: a=1; b=2\r\nContent-Length: 4\r\n\r\nbody"
            try connection.send(Array("POST /a?b=%20 HTTP/1.1\r\nhost: one:1\r\n\(fields)".utf8))
            try connection.send(Array("POST http://two/?c HTTP/1.1\r\nHost: two\r\n\(fields)".utf8))
            return try [connection.answer(toHead: false), connection.answer(toHead: false)]
        }
        for (answer, first) in zip(answers, ["one:1 /a?b=%20", "two /?c"]) {
            #expect(answer.status.hasPrefix("HTTP/1.1 299"))
            #expect(answer.fields.contains("etag: \"1\""))
            #expect(String(decoding: answer.body, as: UTF8.self).split(separator: "\n") == [
                Substring(first), "content-length: 4", "cookie: a=1; b=2", "x-a: 1", "x-a: 2", "body",
            ])
        }
        try await server.stop()
    }

    /// The inodes of a process's sockets.
    private func sockets(of pid: Int32) throws -> [String] {
        let folder = try #require(opendir("/proc/\(pid)/fd"))
        defer { closedir(folder) }
        var inodes: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var target = [UInt8](repeating: 0, count: 256)
            let count = readlink("/proc/\(pid)/fd/\(name)", &target, target.count)
            let text = String(decoding: target.prefix(max(0, count)), as: UTF8.self)
            if text.hasPrefix("socket:[") { inodes.append(String(text.dropFirst(8).dropLast())) }
        }
        return inodes
    }

    private func table(_ path: String) throws -> [[String]] {
        contents(path).split(separator: "\n").dropFirst().map { $0.split(separator: " ").map(String.init) }
    }
}
