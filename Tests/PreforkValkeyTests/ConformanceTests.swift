// The promises of both protocols, kept by a real server.

#if Valkey
    import PreforkBackendSuite
    import PreforkEventLoop
    import PreforkValkey
    import Testing

    @Suite(.timeLimit(.minutes(2)), .enabled(if: TestServer.path != nil, "needs redis-server or valkey-server"))
    struct ConformanceTests {
        @Test(arguments: StoreCheck.all) func theStoreKeepsThePromise(_ check: StoreCheck) async throws {
            let server = try TestServer()
            let store = server.backend()
            try await check.run(store)
            store.close()
        }

        /// A prefix of characters that patterns and scripts could take for something else, beside keys of others.
        @Test(arguments: StoreCheck.all) func theStoreKeepsThePromiseBehindAPrefix(_ check: StoreCheck) async throws {
            let server = try TestServer()
            let (store, others) = (server.backend(prefix: "[a]*?\\é:"), server.backend(prefix: "a"))
            _ = try await others.increment("k", by: 7)
            try await check.run(store)
            #expect(try await others.all(prefix: "").count == 1)
            store.close()
            others.close()
        }

        @Test(arguments: PubSubCheck.all) func publishAndSubscribeKeepThePromise(_ check: PubSubCheck) async throws {
            let server = try TestServer()
            let backend = server.backend(prefix: "p:")
            try await check.run(backend)
            backend.close()
        }

        @Test func bothKeepThePromiseOnALoopOfTheirOwn() async throws {
            let server = try TestServer()
            try EventLoop().run {
                for (index, check) in StoreCheck.all.enumerated() {
                    let backend = server.backend(prefix: "\(index):")
                    try await check.run(backend)
                    backend.close()
                }
                for check in PubSubCheck.all { try await check.run(server.backend()) }
            }
        }
    }
#endif
