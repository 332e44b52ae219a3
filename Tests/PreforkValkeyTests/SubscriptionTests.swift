// Subscribers that are slow, and connections that are lost under them.

#if Valkey
    import PreforkBackendSuite
    import PreforkChannels
    import PreforkEventLoop
    import PreforkStore
    import PreforkSystem
    import PreforkTestSupport
    import Synchronization
    import Testing

    @testable import PreforkValkey

    @Suite(.timeLimit(.minutes(2)), .enabled(if: TestServer.path != nil, "needs redis-server or valkey-server"))
    struct SubscriptionTests {
        @Test func aSlowSubscriberLearnsExactlyHowMuchItHasMissed() async throws {
            let server = try TestServer()
            let backend = server.backend()
            let (slow, fast) = (try await backend.subscribe("c"), try await backend.subscribe("c"))
            let reader = Task { try await read(3_000, of: fast) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<3_000 {
                    try await backend.publish("c", StoredValue(number))
                    if number % 100 == 99 { try await Task.sleep(for: .milliseconds(1)) }
                }
                try await group.waitForAll()
            }
            // In the order of one connection: all of them have come when the fast one has the last.
            #expect(try await reader.value == (0..<3_000).map { .message(StoredValue($0)) })
            let events = try await read(1_025, of: slow)
            #expect(events.first == .lagged(1_976))
            #expect(Array(events.dropFirst()) == (1_976..<3_000).map { .message(StoredValue($0)) })
        }

        @Test func afterALostConnectionASubscriberIsToldAndGoesOn() async throws {
            let server = try TestServer()
            let backend = server.backend()
            let (first, second) = (try await backend.subscribe("c"), try await backend.subscribe("d"))
            try await backend.publish("c", StoredValue("before"))
            #expect(try await read(1, of: first) == [.message(StoredValue("before"))])
            try await server.kill()
            try server.startAgain()
            // Told when the server has confirmed it: what is published from then on comes.
            #expect(try await read(1, of: first) == [.lagged(nil)])
            #expect(try await read(1, of: second) == [.lagged(nil)])
            try await backend.publish("c", StoredValue("after"))
            try await backend.publish("d", StoredValue("after"))
            #expect(try await read(1, of: first) == [.message(StoredValue("after"))])
            #expect(try await read(1, of: second) == [.message(StoredValue("after"))])
        }

        /// On its own loop, which no other test stops.
        @Test func aStopEndsASubscriptionWithWhatItHasNotGivenOut() async throws {
            let server = try TestServer()
            let events = try await withCheckedThrowingContinuation {
                (ended: CheckedContinuation<[PublishedEvent], any Error>) in
                let body: @Sendable () async throws -> [PublishedEvent] = {
                    let backend = server.backend()
                    let (waiting, full) = (try await backend.subscribe("c"), try await backend.subscribe("d"))
                    try await backend.publish("d", StoredValue("not given out"))
                    let loop = EventLoop.current!
                    loop.call(after: .milliseconds(20)) { loop.stopRequest.request() }
                    var seen: [PublishedEvent] = []
                    for try await event in waiting { seen.append(event) }
                    for try await event in full { seen.append(event) }
                    return seen
                }
                do {
                    try startThread { ended.resume(with: Result { try EventLoop().run(body) }) }
                } catch {
                    ended.resume(throwing: error)
                }
            }
            #expect(events == [])
        }

        @Test func aConnectionLostBeforeTheSubscribersTaskRunsIsToldToo() async throws {
            let server = try TestServer()
            let backend = server.backend()
            let other = try await backend.subscribe("d")
            let gate = GatedExecutor()
            let subscribing = Task(executorPreference: gate) { try await backend.subscribe("c") }
            try await eventually("the server's answer has come") { gate.isHolding }
            try await server.kill()
            try server.startAgain()
            #expect(try await read(1, of: other) == [.lagged(nil)])
            gate.open()
            let events = try await subscribing.value
            try await eventually("subscribed again") { try await backend.subscribers(of: "c") == 1 }
            try await backend.publish("c", StoredValue("after"))
            #expect(try await read(2, of: events) == [.lagged(nil), .message(StoredValue("after"))])
        }

        @Test func nothingComesAfterTheEndThatTheSubscriberAskedFor() async throws {
            let hub = SubscriptionHub(loop: try EventLoop.chosen(), settings: ValkeySettings(.unix(path: "/nobody")))
            let events = ValkeySubscription(of: Array("c".utf8), hub: hub)
            events.deliver(StoredValue("unread"))
            await events.unsubscribe()
            // By a hub that has not heard of it yet.
            events.deliver(StoredValue("late"))
            events.deliverGap()
            var iterator = events.makeAsyncIterator()
            #expect(try await iterator.next() == nil)
        }

        @Test func aConnectionThatHasGoneSilentIsNoticed() async throws {
            let server = try TestServer()
            var settings = server.settings()
            settings.heartbeat = .milliseconds(20)
            settings.commandTimeout = .milliseconds(200)
            settings.connectTimeout = .milliseconds(200)
            let backend = ValkeyBackend(settings)
            // On a busy machine it may take a moment until it is that quick.
            var heard: (any PublishedEvents)?
            try await eventually("subscribed") {
                heard = try? await backend.subscribe("c")
                return heard != nil
            }
            let events = heard!
            server.program.send(.stop)
            // Long enough for a heartbeat to go unanswered: the connection is made again, and that is told.
            try await eventually("the connection was given up") { try await !backend.isSubscriptionReady() }
            server.program.send(.resume)
            #expect(try await read(1, of: events) == [.lagged(nil)])
        }

        @Test func whoLetsGoIsUnsubscribed() async throws {
            let server = try TestServer()
            let backend = server.backend()
            var events: (any PublishedEvents)? = try await backend.subscribe("c")
            #expect(try await backend.subscribers(of: "c") == 1)
            _ = events
            events = nil
            try await eventually("the server was told") { try await backend.subscribers(of: "c") == 0 }
        }

        @Test func textOfOthersComesAsBytes() async throws {
            let server = try TestServer()
            let backend = server.backend(prefix: "p:")
            let events = try await backend.subscribe("c")
            _ = try await backend.ask(Command("PUBLISH", "p:c", "hello"), about: "")
            #expect(try await read(1, of: events) == [.message(StoredValue(Array("hello".utf8)))])
        }

        @Test func aNearCacheIsAStoreOnAServer() async throws {
            let server = try TestServer()
            let (first, second) = (server.backend(), server.backend())
            let a = try await NearCache(local: MemoryBackend(), remote: first)
            let b = try await NearCache(local: MemoryBackend(), remote: second)
            for round in 0..<20 {
                _ = try await a.store("k", StoredValue(round), expires: nil, if: .always)
                try await eventually("the message has come") { try await b.load("k") == StoredValue(round) }
            }
            #expect(b.statistics.hits + b.statistics.misses >= 20)
            try await server.kill()
            try server.startAgain()
            // The server has forgotten. The copies go with the lost connection.
            try await eventually("the copies are gone") { (try? await b.load("k")) == .some(nil) }
            await a.close()
            await b.close()
        }
    }

    /// Runs a task up to its first wait, and goes on with it when it is opened.
    private final class GatedExecutor: TaskExecutor {
        private struct State {
            var hasBegun = false
            var isOpen = false
            var held: [UnownedJob] = []
        }

        private let state = Mutex(State())

        var isHolding: Bool { state.withLock { !$0.held.isEmpty } }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            let mayRun = state.withLock { state in
                if state.hasBegun, !state.isOpen {
                    state.held.append(job)
                    return false
                }
                state.hasBegun = true
                return true
            }
            if mayRun { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }

        func open() {
            let held = state.withLock { state in
                state.isOpen = true
                defer { state.held = [] }
                return state.held
            }
            for job in held { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }

    extension ValkeyBackend {
        func subscribers(of channel: String) async throws -> Int {
            let reply = try await ask(Command("PUBSUB", "NUMSUB", channel), about: "")
            guard case .array(let parts) = reply, parts.count == 2, case .integer(let count) = parts[1] else {
                return -1
            }
            return Int(count)
        }

        func isSubscriptionReady() async throws -> Bool {
            let hub = try subscriptions()
            return await withCheckedContinuation { continuation in
                hub.loop.execute { continuation.resume(returning: hub.isReady) }
            }
        }
    }
#endif
