// Servers that ask for a password, that hold other people's data, or that are none.

#if Valkey
    import PreforkBackendSuite
    import PreforkChannels
    import PreforkStore
    import PreforkSystem
    import PreforkTestSupport
    import Synchronization
    import Testing

    @testable import PreforkValkey

    @Suite(.timeLimit(.minutes(2)), .enabled(if: TestServer.path != nil, "needs redis-server or valkey-server"))
    struct ServerTests {
        @Test func thePasswordDecidesAndIsNeverTold() async throws {
            let secret = "sesame-42"
            let server = try TestServer(
                "--requirepass", secret, "--user", "app", "on", ">\(secret)-2", "~*", "&*", "+@all")
            func backend(_ user: String?, _ password: String?) -> ValkeyBackend {
                var settings = server.settings()
                settings.user = user
                settings.password = password.map { ValkeyPassword($0) }
                return ValkeyBackend(settings)
            }
            #expect(try await backend(nil, secret).increment("n", by: 1) == 1)
            #expect(try await backend("default", secret).increment("n", by: 1) == 2)
            #expect(try await backend("app", secret + "-2").increment("n", by: 1) == 3)
            let events = try await backend("app", secret + "-2").subscribe("c")
            await events.unsubscribe()
            for (user, password, word) in [
                (nil, "wrong-" + secret, "WRONGPASS"), ("app", secret, "WRONGPASS"), (nil, nil, "NOAUTH"),
            ] {
                let refused = backend(user, password)
                for operation in [
                    { _ = try await refused.load("n") }, { _ = try await refused.subscribe("c") },
                ] as [() async throws -> Void] {
                    let error = await error(operation)
                    #expect(error?.code == .notAuthenticated(reason: word))
                    #expect(!"\(error!)".contains("sesame") && !String(reflecting: error!).contains("sesame"))
                }
                #expect(!"\(refused.settings)".contains("sesame"))
                refused.close()
            }
        }

        /// A server that repeats what it was sent in its errors.
        @Test func aServerThatEchoesThePasswordIsNotQuoted() async throws {
            for answer in ["-sesame-42 is wrong\r\n", "-ERR sesame-42\r\n", "+sesame-42\r\n", "$9\r\nsesame-42\r\n"] {
                let fake = try FakeServer { _, _ in answer }
                let backend = ValkeyBackend(ValkeySettings(.unix(path: fake.path), password: "sesame-42"))
                let error = await error { _ = try await backend.load("k") }
                #expect(error != nil && !"\(error!)".contains("sesame"))
                backend.close()
            }
        }

        @Test func databasesAreApart() async throws {
            let server = try TestServer()
            var settings = server.settings()
            settings.database = 3
            let (zero, three) = (server.backend(), ValkeyBackend(settings))
            _ = try await zero.increment("n", by: 1)
            #expect(try await three.load("n") == nil)
            settings.database = 1_000
            // The server's answer must come in that time, also on a busy machine.
            settings.commandTimeout = .seconds(2)
            #expect(
                await code { _ = try await ValkeyBackend(settings).load("n") }
                    == .refused("ERR DB index is out of range"))
        }

        @Test func whatOthersHaveWrittenIsToldApart() async throws {
            let server = try TestServer()
            let backend = server.backend()
            _ = try await backend.ask(Command("SET", "text", "hello"), about: "")
            _ = try await backend.ask(Command("SET", "number", "41"), about: "")
            _ = try await backend.ask(Command("LPUSH", "list", "a"), about: "")
            #expect(try await backend.load("number") == StoredValue(41))
            #expect(try await backend.increment("number", by: 1) == 42)
            for key in ["text", "list"] {
                let error = await error { _ = try await backend.load(key) }
                #expect(error == ValkeyError(.foreignValue, on: key))
                #expect(await code { _ = try await backend.increment(key, by: 1) } == .foreignValue)
                var step = AtomicStep()
                step.increment(key)
                #expect(await code { _ = try await backend.perform(step) } == .foreignValue)
            }
            // A list is no value of a store: it is left out, and an AtomicStep may replace it.
            #expect(try await backend.load(["list", "number"]) == ["number": StoredValue(42)])
            #expect(try await backend.remove("text"))
            #expect(try await backend.all(prefix: "") == ["number": StoredValue(42)])
            #expect(try await backend.count() == 2)
        }

        @Test func scriptsAreLoadedAgainWhereTheyWereForgotten() async throws {
            let server = try TestServer()
            let backend = server.backend()
            for _ in 0..<3 {
                var step = AtomicStep()
                step.increment("n")
                #expect(try await backend.perform(step))
                #expect(try await backend.setLife("n", nil))
                #expect(try await backend.compareAndSet("k", expecting: nil, to: nil))
                _ = try await backend.ask(Command("SCRIPT", "FLUSH"), about: "")
            }
            #expect(try await backend.load("n") == StoredValue(3))
        }

        /// Whatever comes instead of an answer to the greeting: an error with a reason, at once.
        @Test(arguments: [
            "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0", "+NOT PONG\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n",
            "*2\r\n:1\r\n:2\r\n",
            "$99999999999999999999\r\n", "*2147483647\r\n", "*99999999999\r\n", "$-5\r\n", ":12x\r\n", "\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "+PONG\r\n+PONG\r\n+PONG\r\n",
            "+PONG\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "%1\r\n+a\r\n+b\r\n", ">1\r\n+a\r\n",
        ]) func nonsenseIsAnErrorOfItsOwn(_ answer: String) async throws {
            let fake = try FakeServer { _, _ in answer }
            var settings = ValkeySettings(.unix(path: fake.path))
            settings.commandTimeout = .seconds(20)
            settings.reconnectDelay = .milliseconds(1) ... .milliseconds(5)
            let backend = ValkeyBackend(settings)
            for operation in [{ _ = try await backend.load("k") }, { _ = try await backend.subscribe("c") }]
                as [() async throws -> Void]
            {
                let code = await code(operation)
                if case .badReply? = code { continue }
                // This one answer is right, to SUBSCRIBE.
                #expect(code == nil && answer.contains("subscribe"))
            }
            backend.close()
        }

        /// Random bytes after a good greeting, many times over.
        @Test func randomBytesAreErrorsOrReplies() async throws {
            let seed = UInt64.random(in: 0 ... .max)
            let random = Mutex(SplitMix64(seed: seed))
            let pieces = [
                "+", "-", ":", "$", "*", "%", "\r\n", "-1", "0", "1", "3", "12", "99999999999", "\r\n", "message", "OK",
                "c", "\0",
            ]
            let fake = try FakeServer { _, chunk in
                if chunk == 0 { return "+PONG\r\n" }
                return random.withLock { random in
                    (0..<Int.random(in: 1...8, using: &random)).map { _ in pieces.randomElement(using: &random)! }
                        .joined() + "\r\n"
                }
            }
            var settings = ValkeySettings(.unix(path: fake.path))
            settings.commandTimeout = .milliseconds(5)
            settings.reconnectDelay = .microseconds(1) ... .microseconds(2)
            let backend = ValkeyBackend(settings)
            var failures = 0
            for _ in 0..<500 {
                do { _ = try await backend.load("k") } catch { failures += 1 }
                do { _ = try await backend.remove("k") } catch { failures += 1 }
                do { _ = try await backend.subscribe("c") } catch { failures += 1 }
            }
            #expect(failures > 100, "seed \(seed)")
            backend.close()
        }

        @Test func tlsIsRefusedWhereThisBuildHasNone() async throws {
            #if !ValkeyTLS
                let server = try TestServer()
                var settings = server.settings()
                settings.tls = ValkeyTLSSettings()
                let code = await code { _ = try await ValkeyBackend(settings).load("k") }
                if case .tlsUnavailable? = code { return }
                Issue.record("\(String(describing: code))")
            #endif
        }
    }
#endif
