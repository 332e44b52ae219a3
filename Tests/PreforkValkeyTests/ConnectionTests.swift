// A connection that comes and goes, and a server that is slow, strict or gone.

#if Valkey
    import Glibc
    import PreforkChannels
    import PreforkEventLoop
    import PreforkStore
    import PreforkSystem
    import PreforkTestSupport
    import Testing

    @testable import PreforkValkey

    @Suite(.timeLimit(.minutes(2)), .enabled(if: TestServer.path != nil, "needs redis-server or valkey-server"))
    struct ConnectionTests {
        @Test func aThousandIncrementsAtOnceAreCounted() async throws {
            let server = try TestServer()
            let backend = server.backend()
            let sums = try await withThrowingTaskGroup(of: Int64.self) { group in
                for _ in 0..<1_000 { group.addTask { try await backend.increment("n", by: 1) } }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(sums == Set(1...1_000))
        }

        /// One connection, one write for what is ready at the same time: the server sees far fewer reads than commands.
        @Test func commandsOfTasksAtTheSameTimeShareAWrite() async throws {
            let server = try TestServer()
            let settings = server.settings()
            try EventLoop().run {
                let backend = ValkeyBackend(settings)
                _ = try await backend.increment("n", by: 1)
                let before = try await backend.readEvents()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    let loop = EventLoop.current
                    for _ in 0..<1_000 {
                        group.addTask(executorPreference: loop) { _ = try await backend.increment("n", by: 1) }
                    }
                    try await group.waitForAll()
                }
                let reads = try await backend.readEvents() - before
                #expect(reads < 50)
                #expect(try await backend.increment("n", by: 0) == 1_001)
            }
        }

        @Test func aCommandUnderWayFailsWithTheConnectionAndALaterOneWaitsForTheNext() async throws {
            let server = try TestServer()
            let backend = server.backend()
            _ = try await backend.increment("n", by: 1)
            server.program.send(.stop)
            let underWay = Task { try await backend.increment("n", by: 1) }
            try await eventually("it was sent") { try await backend.sentCount() == 1 }
            try await server.kill()
            #expect(await code(of: underWay) == .connectionLost)
            let later = Task { try await backend.increment("n", by: 1) }
            try server.startAgain()
            #expect(try await later.value == 1)
        }

        @Test func aServerThatStandsStillIsATimeoutAndIsUsedAgainWhenItGoesOn() async throws {
            let server = try TestServer()
            var settings = server.settings()
            settings.commandTimeout = .milliseconds(300)
            settings.connectTimeout = .milliseconds(300)
            let backend = ValkeyBackend(settings)
            try await eventually("it has started") { (try? await backend.increment("n", by: 1)) != nil }
            server.program.send(.stop)
            #expect(await code { _ = try await backend.increment("n", by: 1) } == .timedOut)
            // The connection was given up. A new one is not answered either.
            #expect(await code { _ = try await backend.increment("n", by: 1) } == .timedOut)
            server.program.send(.resume)
            try await eventually("it answers") { (try? await backend.load("n")) != nil }
        }

        @Test func nobodyThereIsToldAfterTheTimeout() async throws {
            let path = try temporaryPath()
            var settings = ValkeySettings(.unix(path: path))
            settings.commandTimeout = .milliseconds(50)
            let backend = ValkeyBackend(settings)
            let error = await error { _ = try await backend.load("k") }
            #expect(error?.code == .unreachable(SystemError("connect", .noEntry, on: "unix:\(path)")))
            #expect("\(error!)" == "unix:\(path): no connection: connect(unix:\(path)): \(Errno.noEntry)")
        }

        @Test func tooManyCommandsAreRefusedAndTheOthersServed() async throws {
            let server = try TestServer()
            var settings = server.settings()
            settings.maximumCommands = 5
            let backend = ValkeyBackend(settings)
            _ = try await backend.load("k")
            server.program.send(.stop)
            let waiting = (0..<5).map { _ in Task { try await backend.increment("n", by: 1) } }
            try await eventually("they were sent") { try await backend.sentCount() == 5 }
            #expect(await code { _ = try await backend.load("k") } == .overloaded(limit: 5))
            server.program.send(.resume)
            for task in waiting { _ = try await task.value }
            #expect(try await backend.increment("n", by: 0) == 5)
        }

        @Test func aCancelledCommandLeavesTheOthersTheirAnswers() async throws {
            let server = try TestServer()
            let backend = server.backend()
            _ = try await backend.store("k", StoredValue("v"), expires: nil, if: .always)
            server.program.send(.stop)
            let cancelled = Task { try await backend.increment("n", by: 1) }
            try await eventually("it was sent") { try await backend.sentCount() == 1 }
            let next = Task { try await backend.load("k") }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            server.program.send(.resume)
            #expect(try await next.value == StoredValue("v"))
            // One that is cancelled before it starts is not sent.
            let never = Task {
                try? await EventLoop.sleep(for: .seconds(1_000))
                _ = try await backend.increment("never", by: 1)
            }
            never.cancel()
            await #expect(throws: CancellationError.self) { try await never.value }
            #expect(try await backend.load("never") == nil)
        }

        @Test func closingEndsWhatWaits() async throws {
            let server = try TestServer()
            let backend = server.backend()
            let events = try await backend.subscribe("c")
            _ = try await backend.load("k")
            server.program.send(.stop)
            let waiting = Task { try await backend.increment("n", by: 1) }
            try await eventually("it was sent") { try await backend.sentCount() == 1 }
            backend.close()
            backend.close()
            #expect(await code(of: waiting) == .closed)
            #expect(await code { _ = try await backend.load("k") } == .closed)
            #expect(await code { _ = try await backend.subscribe("c") } == .closed)
            for try await event in events { Issue.record("\(event)") }
        }

        @Test func reconnectingLeavesNoDescriptorsBehind() async throws {
            let server = try TestServer()
            let fake = try FakeServer { _, chunk in chunk == 0 ? "+PONG\r\n" : nil }
            var settings = server.settings()
            settings.address = .unix(path: fake.path)
            settings.reconnectDelay = .microseconds(10) ... .microseconds(20)
            let backend = ValkeyBackend(settings)
            // Lost, or on a busy machine too late. Either way each is the end of a connection.
            for _ in 0..<20 { #expect(await code { _ = try await backend.load("k") } != nil) }
            backend.close()
            #expect(fake.connectionCount >= 20)
            try await eventually("all are closed") { socketsNamed(fake.path) <= 1 }
        }

        @Test func aNameIsLookedUpAndATCPServerServes() async throws {
            let port = try freePort()
            let server = try TestServer("--port", "\(port)", "--bind", "127.0.0.1")
            for host in ["127.0.0.1", "localhost"] {
                var settings = server.settings()
                settings.address = .tcp(host: host, port: port)
                let backend = ValkeyBackend(settings)
                #expect(try await backend.increment(host, by: 1) == 1)
                backend.close()
            }
            var settings = server.settings()
            settings.address = .tcp(host: "name.invalid", port: port)
            settings.commandTimeout = .milliseconds(200)
            let error = await error { _ = try await ValkeyBackend(settings).load("k") }
            switch error?.code {
            // Without a network, the resolver may take longer than that to say so.
            case .unreachable(let error)?: #expect(error.call == "getaddrinfo")
            case let other: #expect(other == .timedOut)
            }
        }

        @Test func largeValuesComeBackWhole() async throws {
            let server = try TestServer()
            let backend = server.backend()
            let value = StoredValue((0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            _ = try await backend.store("large", value, expires: nil, if: .always)
            #expect(try await backend.load("large") == value)
            #expect(try await backend.compareAndSet("large", expecting: value, to: StoredValue(1)))
        }

        /// Sockets of any process that are bound to `path` or were accepted there.
        private func socketsNamed(_ path: String) -> Int {
            read("/proc/net/unix").split(separator: "\n").count { $0.hasSuffix(path) }
        }
    }

    /// The code of what `body` throws.
    func code(_ body: () async throws -> Void) async -> ValkeyError.Code? {
        await error(body)?.code
    }

    func error(_ body: () async throws -> Void) async -> ValkeyError? {
        do {
            try await body()
            return nil
        } catch {
            if !(error is ValkeyError) { Issue.record("another error: \(error)") }
            return error as? ValkeyError
        }
    }

    func code(of task: Task<Int64, any Error>) async -> ValkeyError.Code? {
        await code { _ = try await task.value }
    }

    extension ValkeyBackend {
        /// Commands whose answers have not come.
        func sentCount() async throws -> Int {
            let link = try commands()
            return await withCheckedContinuation { continuation in
                link.loop.execute { continuation.resume(returning: link.commandsInFlight) }
            }
        }

        /// How often the server has read from its clients.
        func readEvents() async throws -> Int {
            guard case .bytes(let bytes) = try await ask(Command("INFO", "stats"), about: "") else { return 0 }
            let line = String(decoding: bytes, as: UTF8.self).split { $0.isNewline }
                .first { $0.hasPrefix("total_reads_processed:") }
            return line.flatMap { Int($0.dropFirst(22)) } ?? 0
        }
    }
#endif
