// Leases on a real server, asked for by hand: who gets one, for how long, and with which token.

#if Valkey
    import PreforkSystem
    import PreforkTestSupport
    import Testing

    @testable import PreforkValkey

    @Suite(.timeLimit(.minutes(2)), .enabled(if: TestServer.path != nil, "needs redis-server or valkey-server"))
    struct LeaseTests {
        private func lease(_ server: TestServer, _ duration: Duration = .seconds(60)) -> ValkeyLease {
            ValkeyLease(server.settings(prefix: "l:"), duration: duration)
        }

        @Test func `One service gets a due time, and the same one gets it again`() async throws {
            let server = try TestServer()
            let (one, two) = (lease(server), lease(server))
            let first = try #require(try await one.take("task", due: 1_000, owner: "a"))
            #expect(try await two.take("task", due: 1_000, owner: "b") == nil)
            #expect(try await two.take("other task", due: 1_000, owner: "b") != nil)
            let again = try #require(try await two.take("task", due: 1_000, owner: "a"))
            #expect(again.token > first.token)
            // What the process before has is nothing any more.
            #expect(try await one.renew(first) == nil)
            try await one.release(first)
            #expect(try await two.renew(again) != nil)
            try await two.release(again)
            #expect(try await one.take("task", due: 1_000, owner: "b") == nil)
            let next = try #require(try await one.take("task", due: 2_000, owner: "b"))
            #expect(next.token > again.token)
        }

        @Test func `A due time that comes while a service has the lease is that service's`() async throws {
            let server = try TestServer()
            let lease = lease(server)
            let first = try #require(try await lease.take("t", due: 1, owner: "a"))
            #expect(try await lease.take("t", due: 2, owner: "b") == nil)
            #expect(try await lease.take("t", due: nil, owner: "b") == nil)
            try await lease.release(first)
            #expect(try await lease.take("t", due: 2, owner: "c") == nil)
            let third = try #require(try await lease.take("t", due: 3, owner: "b"))
            // It waits for the end of the other's run.
            let second = Task { try await lease.take("t", due: 2, owner: "a") }
            try await Task.sleep(for: .milliseconds(300))
            try await lease.release(third)
            let held = try #require(try await second.value)
            #expect(held.token > third.token)
        }

        @Test func `A lease that is not renewed expires, and one that is does not`() async throws {
            let server = try TestServer()
            let lease = lease(server, .seconds(1))
            var held = try #require(try await lease.take("t", due: 1, owner: "a"))
            let began = MonotonicInstant.now
            while MonotonicInstant.now - began < .seconds(2) {
                held = try #require(try await lease.renew(held))
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await lease.take("t", due: nil, owner: "b") == nil)
            let last = MonotonicInstant.now
            var next: ValkeyLease.Held?
            while next == nil { next = try await lease.take("t", due: nil, owner: "b") }
            #expect(MonotonicInstant.now - last > .milliseconds(500))
            #expect(MonotonicInstant.now >= held.validUntil)
            #expect(next!.token > held.token)
        }

        @Test func `Tokens grow over a server that has lost its memory`() async throws {
            let server = try TestServer()
            let lease = lease(server)
            var last: Int64 = 0
            for round in 1...3 {
                for due in 1...50 {
                    let held = try #require(try await lease.take("t", due: Int64(round * 100 + due), owner: "a"))
                    #expect(held.token > last)
                    last = held.token
                }
                try await server.kill()
                try server.startAgain()
            }
        }

        @Test func `The last thousand due times are remembered, and those before count as begun`() async throws {
            let server = try TestServer()
            let lease = lease(server)
            for due in 2...1_002 { #expect(try await lease.take("t", due: Int64(due), owner: "a") != nil) }
            for due in [1, 2] { #expect(try await lease.take("t", due: Int64(due), owner: "a") == nil) }
            let backend = server.backend(prefix: "l:")
            #expect(try await backend.ask(Command("ZCARD", "l:once:t:due"), about: "") == .integer(1_000))
            #expect(try await backend.ask(Command("HLEN", "l:once:t:owners"), about: "") == .integer(1_000))
        }

        @Test func `A hundred that ask at once get one lease`() async throws {
            let server = try TestServer()
            let count = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<100 {
                    let lease = lease(server)
                    group.addTask { try await lease.take("t", due: 5, owner: "\(number)") == nil ? 0 : 1 }
                }
                return try await group.reduce(0, +)
            }
            #expect(count == 1)
        }

        @Test func `What makes no sense is refused, and a server that is not there is told`() async throws {
            for duration in [Duration.zero, .milliseconds(999), .seconds(86_401), .seconds(-1)] {
                #expect(throws: ValkeyError.self) {
                    try ValkeyLease(ValkeySettings(.unix(path: "/nowhere/s")), duration: duration).check()
                }
            }
            var settings = ValkeySettings(.unix(path: "/nowhere/s"))
            settings.commandTimeout = .milliseconds(100)
            let lease = ValkeyLease(settings)
            try lease.check()
            await #expect(throws: ValkeyError.self) { try await lease.take("t", due: 1, owner: "a") }
        }
    }
#endif
