// Listening, accepting, serving, draining.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkEventLoop

@Suite(.timeLimit(.minutes(2))) struct ServingTests {
    /// Runs an echo server on a loop of its own while `body` talks to it.
    private func withServer(
        limit: Int = 100, _ listener: Listener,
        report: @escaping @Sendable (ServingEvent) -> Void = { _ in },
        _ handler: @escaping @Sendable (Connection) async throws -> Void,
        _ body: @escaping @Sendable (EventLoop) async throws -> Void
    ) async throws {
        try await onOwnLoop {
            let loop = EventLoop.current!
            async let serving: Void = listener.serve(limit: limit, report: report, handler)
            try await body(loop)
            loop.stopRequest.request()
            try await serving
        }
    }

    private static let echo: @Sendable (Connection) async throws -> Void = { connection in
        while try await connection.reader.waitForMessage() {
            let line = try await connection.reader.read(until: "\n", limit: 1_000)
            try await connection.writer.write(line)
        }
    }

    @Test(arguments: [Endpoint.tcp("127.0.0.1", 0), .tcp("::1", 0), .tcp("localhost", 0), .tcp("", 0), .tcp("::", 0)])
    func clientsOfEveryFamilyAreServed(endpoint: Endpoint) async throws {
        let listener = try Listener(endpoint)
        #expect(listener.address.port != 0)
        try await withServer(listener, Self.echo) { _ in
            let connection = try await Connection.connect(to: listener.address)
            try await connection.writer.write("hello\n")
            #expect(text(try await connection.reader.read(until: "\n", limit: 100)) == "hello\n")
            connection.close()
        }
        listener.close()
    }

    @Test func aDuplicateIsItsTakersToClose() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let duplicate = try listener.duplicate()
        #expect(duplicate != listener.descriptor && fcntl(duplicate, F_GETFD) == FD_CLOEXEC)
        #expect(Glibc.close(duplicate) == 0)
        try await withServer(listener, Self.echo) { _ in
            let connection = try await Connection.connect(to: listener.address)
            try await connection.writer.write("still here\n")
            #expect(text(try await connection.reader.read(until: "\n", limit: 100)) == "still here\n")
            connection.close()
        }
        listener.close()
    }

    @Test(arguments: [0, -1]) func aLimitThatServesNobodyIsAnError(limit: Int) async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let error = await #expect(throws: SystemError.self) { try await listener.serve(limit: limit, Self.echo) }
        #expect(error?.errno == .invalidArgument)
        listener.close()
    }

    @Test func aDualStackListenerAcceptsIPv4() async throws {
        let listener = try Listener(.tcp("::", 0))
        try await withServer(listener, Self.echo) { _ in
            let address = SocketAddress.ipv4(0x7F00_0001, port: listener.address.port!)
            let connection = try await Connection.connect(to: address)
            try await connection.writer.write("four\n")
            #expect(text(try await connection.reader.read(until: "\n", limit: 100)) == "four\n")
            connection.close()
        }
    }

    @Test func aUnixSocketHasItsModeAndIsRemovedAtClose() async throws {
        let path = try temporaryPath()
        let listener = try Listener(.unix(path, mode: 0o640))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
        try await withServer(listener, Self.echo) { _ in
            let connection = try await Connection.connect(to: listener.address)
            try await connection.writer.write("unix\n")
            #expect(text(try await connection.reader.read(until: "\n", limit: 100)) == "unix\n")
            connection.close()
        }
        listener.close()
        listener.close()
        #expect(stat(path, &status) != 0)
    }

    @Test func aStaleSocketIsTakenOverAndALiveOneIsNot() throws {
        let path = try temporaryPath()
        let leftOver = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        _ = SocketAddress.unix(path: path).withSockaddr { bind(leftOver, $0, $1) }
        close(leftOver)
        let listener = try Listener(.unix(path))
        do {
            _ = try Listener(.unix(path))
            Issue.record("no error")
        } catch {
            #expect(error.call == "bind" && error.errno.name == "EADDRINUSE" && error.object == "unix:\(path)")
        }
        listener.close()
        let file = try temporaryFile()
        #expect(throws: SystemError.self, "a plain file is not taken over") { try Listener(.unix(file)) }
        var status = stat()
        #expect(stat(file, &status) == 0)
        unlink(file)
        #expect(throws: SystemError.self) { try Listener(.unix(String(repeating: "x", count: 200))) }
    }

    @Test func aSocketThatTookThePathIsLeftWhereItIs() throws {
        let path = try temporaryPath()
        let first = try Listener(.unix(path))
        unlink(path)
        let second = try Listener(.unix(path))
        first.close()
        #expect(access(path, F_OK) == 0)
        second.close()
        #expect(access(path, F_OK) != 0)
    }

    @Test func bindingErrorsNameCallErrnoAndAddress() throws {
        let first = try Listener(.tcp("127.0.0.1", 0))
        let port = first.address.port!
        do {
            _ = try Listener(.tcp("127.0.0.1", port))
            Issue.record("no error")
        } catch {
            #expect(error.description == "bind(127.0.0.1:\(port)): Address already in use (EADDRINUSE)")
        }
        do {
            _ = try Listener(.tcp("192.0.2.1", 0))
            Issue.record("no error")
        } catch {
            #expect(error.call == "bind" && error.errno.name == "EADDRNOTAVAIL")
        }
        do {
            _ = try Listener(.tcp("no such host", 80))
            Issue.record("no error")
        } catch {
            #expect(error.call == "getaddrinfo")
        }
        #expect(throws: SystemError.self) { try Listener(adopting: STDIN_FILENO) }
        #expect(throws: SystemError.self) { try Listener(adopting: 987_654) }
    }

    @Test func anInheritedListenerIsAdopted() async throws {
        let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        _ = SocketAddress.ipv4(0x7F00_0001, port: 0).withSockaddr { bind(raw, $0, $1) }
        listen(raw, 5)
        let listener = try Listener(adopting: raw)
        #expect(listener.descriptor == raw)
        try await withServer(listener, Self.echo) { _ in
            let connection = try await Connection.connect(to: listener.address)
            try await connection.writer.write("adopted\n")
            #expect(text(try await connection.reader.read(until: "\n", limit: 100)) == "adopted\n")
            connection.close()
        }
    }

    @Test func reusePortGivesEachTaskItsOwnQueueOnOnePort() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0), sharing: .reusePort(queues: 3))
        #expect(listener.address.port != 0)
        #expect(throws: SystemError.self) { try Listener(.tcp("127.0.0.1", 0), sharing: .reusePort(queues: 0)) }
        #expect(throws: SystemError.self) { try Listener(.unix("/tmp/x"), sharing: .reusePort(queues: 2)) }
    }

    @Test func connectingToNobodyIsATypedError() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let address = listener.address
        listener.close()
        do {
            _ = try await Connection.connect(to: address)
            Issue.record("no error")
        } catch let error as SystemError {
            #expect(error.call == "connect" && error.errno.name == "ECONNREFUSED")
        }
    }

    @Test func noMoreConnectionsThanTheLimitAreServedAtATime() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let open = Calls()
        let ended = Calls()
        try await withServer(
            limit: 2, listener,
            { connection in
                open.add()
                #expect(open.count - ended.count <= 2)
                _ = try await connection.reader.read(until: "\n", limit: 100)
                ended.add()
                try await connection.writer.write("done\n")
            }
        ) { _ in
            var clients: [Connection] = []
            for _ in 0..<6 { clients.append(try await Connection.connect(to: listener.address)) }
            try await eventually("two are served") { open.count == 2 }
            for client in clients { try await client.writer.write("go\n") }
            for client in clients {
                #expect(text(try await client.reader.readToEnd(limit: 100)) == "done\n")
                client.close()
            }
        }
        #expect(open.count == 6)
    }

    @Test func aListenerThatItsOwnerClosesIsServedNoMore() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let socket = Self.inode(listener.descriptor)
        let error = await #expect(throws: SystemError.self) {
            try await onOwnLoop {
                async let serving: Void = listener.serve(Self.echo)
                let client = try await Connection.connect(to: listener.address)
                try await client.writer.write("x\n")
                #expect(text(try await client.reader.read(until: "\n", limit: 10)) == "x\n")
                listener.close()
                // The server has no second descriptor that would keep it open.
                #expect(!(0..<1_000).contains { Self.inode($0) == socket })
                try await serving
            }
        }
        #expect(error?.errno == .badDescriptor)
        #expect(error?.call == "accept4")
    }

    private static func inode(_ descriptor: Int32) -> ino_t? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? status.st_ino : nil
    }

    /// The number of a closed listener is the next file's.
    @Test func theServerOfAClosedListenerTakesNoConnectionOfAnother() async throws {
        let closed = try Listener(.tcp("127.0.0.1", 0))
        try await onOwnLoop {
            let loop = EventLoop.current!
            let busy = Calls()
            let before = loop.watches.count
            let serving = Task(executorPreference: loop) {
                try await closed.serve { connection in
                    busy.add()
                    try await connection.writer.write("of the closed one\n")
                }
            }
            let first = try await Connection.connect(to: closed.address)
            #expect(text(try await first.reader.readToEnd(limit: 100)) == "of the closed one\n")
            first.close()
            closed.close()
            // Most likely with the number of the closed one.
            let open = try Listener(.tcp("127.0.0.1", 0))
            async let others: Void = open.serve(Self.echo)
            for _ in 0..<20 {
                let client = try await Connection.connect(to: open.address)
                try await client.writer.write("x\n")
                #expect(text(try await client.reader.read(until: "\n", limit: 10)) == "x\n")
                client.close()
            }
            await #expect(throws: SystemError.self) { try await serving.value }
            #expect(busy.count == 1)
            loop.stopRequest.request()
            try await others
            #expect(loop.watches.count == before)
        }
    }

    @Test func aHandlerThatThrowsEndsItsConnectionOnly() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let reports = Calls()
        try await withServer(
            listener,
            report: { event in if case .handlerFailed(is Failure, _) = event { reports.add() } },
            { connection in
                let line = try await connection.reader.read(until: "\n", limit: 100)
                if line.first == UInt8(ascii: "x") { throw Failure(text: "asked for") }
                try await connection.writer.write(line)
            }
        ) { _ in
            let bad = try await Connection.connect(to: listener.address)
            let good = try await Connection.connect(to: listener.address)
            try await bad.writer.write("x\n")
            #expect(try await bad.reader.read(atMost: 10) == nil)
            try await good.writer.write("y\n")
            #expect(text(try await good.reader.read(until: "\n", limit: 10)) == "y\n")
            bad.close()
            good.close()
        }
        #expect(reports.count == 1)
    }

    @Test func drainingEndsIdleConnectionsAndFinishesWhatIsInFlight() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let accepted = Calls()
        let begun = Calls()
        try await onOwnLoop {
            let loop = EventLoop.current!
            async let serving: Void = listener.serve { connection in
                accepted.add()
                while try await connection.reader.waitForMessage() {
                    begun.add()
                    let line = try await connection.reader.read(until: "\n", limit: 100)
                    if line.count > 1 { try await loop.stopRequest.wait() }
                    try await connection.writer.write(connection.isDraining ? "bye\n" : "more\n")
                }
            }
            let fresh = try await Connection.connect(to: listener.address)
            let idle = try await Connection.connect(to: listener.address)
            try await idle.writer.write("\n")
            #expect(text(try await idle.reader.read(until: "\n", limit: 10)) == "more\n")
            let busy = try await Connection.connect(to: listener.address)
            try await busy.writer.write("slow\n")
            let half = try await Connection.connect(to: listener.address)
            try await half.writer.write("beg")
            try await eventually("all are accepted, three have asked") { accepted.count == 4 && begun.count == 3 }
            loop.stopRequest.request()
            #expect(try await fresh.reader.read(atMost: 1) == nil)
            #expect(try await idle.reader.read(atMost: 1) == nil)
            #expect(text(try await busy.reader.readToEnd(limit: 10)) == "bye\n")
            try await half.writer.write("un\n")
            #expect(text(try await half.reader.readToEnd(limit: 10)) == "bye\n", "a message that had begun is finished")
            try await serving
            for connection in [fresh, idle, busy, half] { connection.close() }
        }
    }

    @Test func whenTheWholeServiceEndsTheQueueIsStillAnswered() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        try await onOwnLoop {
            let loop = EventLoop.current!
            var clients: [Connection] = []
            for _ in 0..<10 {
                let client = try await Connection.connect(to: listener.address)
                try await client.writer.write("queued\n")
                clients.append(client)
            }
            loop.stopRequest.request(.service)
            try await listener.serve(Self.echo)
            for client in clients {
                #expect(text(try await client.reader.readToEnd(limit: 100)) == "queued\n")
                client.close()
            }
        }
    }

    @Test func cancellingServeCancelsItsHandlers() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let begun = Calls()
        let cancelled = Calls()
        try await onOwnLoop {
            let task = Task(executorPreference: EventLoop.current) {
                try await listener.serve { _ in
                    begun.add()
                    do {
                        try await EventLoop.sleep(for: .seconds(100))
                    } catch {
                        cancelled.add()
                        throw error
                    }
                }
            }
            let client = try await Connection.connect(to: listener.address)
            try await eventually("its handler runs") { begun.count == 1 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            client.close()
        }
        #expect(cancelled.count == 1)
    }

    @Test func nothingIsLeftInTheLoopAfterServing() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        try await onOwnLoop {
            let loop = EventLoop.current!
            let before = loop.watches.count
            async let serving: Void = listener.serve(Self.echo)
            for _ in 0..<100 {
                let client = try await Connection.connect(to: listener.address)
                try await client.writer.write("x\n")
                _ = try await client.reader.read(until: "\n", limit: 10)
                client.close()
            }
            loop.stopRequest.request()
            try await serving
            #expect(loop.watches.count == before)
            #expect(loop.timers.count == 0)
            #expect(loop.acceptedConnections == 0)
        }
    }
}
