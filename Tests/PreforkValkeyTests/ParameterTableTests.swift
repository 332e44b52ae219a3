// Every public parameter of PreforkValkey with values that make no sense. No server is asked: what makes no sense is
// refused before, and what makes sense finds none.

#if Valkey
    import PreforkChannels
    import PreforkStore
    import PreforkTestSupport
    import PreforkValkey
    import Testing

    @Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
        @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
            await row.check()
        }

        @Test func noParameterIsMissing() {
            expectComplete(
                Self.table, module: "PreforkValkey",
                reasons: [
                    "ValkeyTLSSettings": "files and names for OpenSSL, whose word is `.tlsUnavailable`: TLSTests",
                    "ValkeyPassword": "any text; never shown: FormatTests",
                    "ValkeyLease": "refused when a task is added: LeaseTests",
                ])
        }

        /// No process listens there.
        private static let nowhere = ValkeySettings.Address.unix(path: "/nowhere/valkey.sock")

        /// Asks a server that is not there. Valid values fail only for that reason.
        private static func ask(
            _ address: ValkeySettings.Address = nowhere, _ change: (inout ValkeySettings) -> Void = { _ in },
            _ call: (ValkeyBackend) async throws -> Void = { _ = try await $0.load("key") as StoredValue? }
        ) async throws {
            var settings = ValkeySettings(address)
            settings.commandTimeout = .milliseconds(200)
            change(&settings)
            let backend = ValkeyBackend(settings)
            defer { backend.close() }
            do { try await call(backend) } catch let error as ValkeyError {
                switch error.code {
                case .timedOut, .unreachable, .connectionLost, .overloaded: return
                default: throw error
                }
            }
        }

        private static let table: [ParameterRow] = numbers + times + texts + keys

        private static let numbers: [ParameterRow] =
            Parameter.number(
                "ValkeySettings.database", zero: .means("the first one"), negative: .refused("database", "-"),
                huge: .means("the server's to refuse")
            ) { (number: Int) in try await ask { $0.database = number } }
            + Parameter.number(
                "ValkeySettings.maximumCommands", zero: .refused("maximumCommands", "0"),
                negative: .refused("maximumCommands", "-"),
                huge: .means("no limit")
            ) { (number: Int) in try await ask { $0.maximumCommands = number } }
            + Parameter.number(
                "ValkeySettings.subscriberBuffer", zero: .refused("subscriberBuffer", "0"),
                negative: .refused("subscriberBuffer", "-"),
                huge: .means("no limit")
            ) { (number: Int) in try await ask { $0.subscriberBuffer = number } }
            + Parameter.unsigned(
                "ValkeySettings.Address.tcp.port", zero: .means("a port where nobody is"),
                huge: .means("a port like any other")
            ) { (port: UInt16) in try await ask(.tcp(host: "127.0.0.1", port: port)) }
            + Parameter.number(
                "ValkeyBackend.increment.by", zero: .means("a number"), negative: .means("a number"),
                huge: .means("a number")
            ) { (amount: Int64) in try await ask { _ = try await $0.increment("key", by: amount) } }

        private static func ask(_ call: (ValkeyBackend) async throws -> Void) async throws {
            try await ask(nowhere, { _ in }, call)
        }

        private static func ask(_ change: (inout ValkeySettings) -> Void) async throws {
            try await ask(nowhere, change)
        }

        private static func time(
            _ parameter: String, _ set: @escaping @Sendable (inout ValkeySettings, Duration) -> Void
        ) -> [ParameterRow] {
            Parameter.duration(
                "ValkeySettings.\(parameter)", zero: .refused(parameter, "0.0 seconds"),
                negative: .refused(parameter, "-"),
                huge: .means("no limit")
            ) { time in try await ask(nowhere) { set(&$0, time) } }
        }

        private static let living: [(String, @Sendable (ValkeyBackend, Duration) async throws -> Void)] = [
            (
                "ValkeyBackend.store.expires",
                { _ = try await $0.store("key", StoredValue(1), expires: $1, if: .always) }
            ),
            ("ValkeyBackend.setLife.expires", { _ = try await $0.setLife("key", $1) }),
        ]

        private static let times: [ParameterRow] =
            time("connectTimeout") { $0.connectTimeout = $1 }
            + time("heartbeat") { $0.heartbeat = $1 }
            + time("reconnectDelay") { $0.reconnectDelay = $1...max($1, .seconds(1)) }
            + Parameter.duration(
                "ValkeySettings.commandTimeout", zero: .refused("commandTimeout", "0.0 seconds"),
                negative: .refused("commandTimeout", "-"),
                huge: .means("as long as it takes")
            ) { time in
                if time <= .zero { return try await ask(nowhere) { $0.commandTimeout = time } }
                var settings = ValkeySettings(nowhere)
                settings.commandTimeout = time
                let backend = ValkeyBackend(settings)
                let task = Task { _ = try await backend.load("key") as StoredValue? }
                try await Task.sleep(for: .milliseconds(20))
                backend.close()
                await #expect(throws: ValkeyError.self) { try await task.value }
            }
            + living.flatMap { parameter, call in
                Parameter.duration(
                    parameter, zero: .refused("expiry of 0.0 seconds"), negative: .refused("expiry of -"),
                    huge: .means("292 years")
                ) { life in try await ask { try await call($0, life) } }
            }

        private static let texts: [ParameterRow] =
            Parameter.text(
                "ValkeySettings.Address.unix.path", empty: .refused("path"),
                huge: .means("a path that is too long to be there"),
                nul: .refused("path", "a\\u{0}b"), controls: .means("nobody is there"), dots: .means("nobody is there"),
                foreign: .means("nobody is there")
            ) { try await ask(.unix(path: $0)) }
            + Parameter.text(
                "ValkeySettings.Address.tcp.host", empty: .refused("host"), huge: .means("a name that nobody has"),
                nul: .refused("host", "a\\u{0}b"), controls: .means("a name that nobody has"),
                dots: .means("a name that nobody has"),
                foreign: .means("a name that nobody has")
            ) { try await ask(.tcp(host: $0)) }
            + Parameter.text(
                "ValkeySettings.init.user", empty: .means("no user"), huge: .means("text"), other: .means("text")
            ) {
                user in try await ask(nowhere) { $0.user = user }
            }
            + Parameter.text(
                "ValkeySettings.init.prefix", empty: .means("none"), huge: .means("text"), other: .means("text")
            ) {
                prefix in try await ask(nowhere) { $0.prefix = prefix }
            }

        private static let keyed: [(String, @Sendable (ValkeyBackend, String) async throws -> Void)] = [
            ("ValkeyBackend.load.key", { _ = try await $0.load($1) as StoredValue? }),
            ("ValkeyBackend.load.keys", { _ = try await $0.load([$1]) }),
            ("ValkeyBackend.store.key", { _ = try await $0.store($1, StoredValue(1), expires: nil, if: .always) }),
            ("ValkeyBackend.remove.key", { _ = try await $0.remove($1) }),
            ("ValkeyBackend.increment.key", { _ = try await $0.increment($1, by: 1) }),
            (
                "ValkeyBackend.compareAndSet.key",
                { _ = try await $0.compareAndSet($1, expecting: nil, to: StoredValue(1)) }
            ),
            ("ValkeyBackend.setLife.key", { _ = try await $0.setLife($1, nil) }),
            ("ValkeyBackend.remainingLife.key", { _ = try await $0.remainingLife($1) }),
            ("ValkeyBackend.publish.channel", { try await $0.publish($1, StoredValue(1)) }),
            ("ValkeyBackend.subscribe.channel", { try await $0.subscribe($1).unsubscribe() }),
        ]

        private static let prefixed: [(String, @Sendable (ValkeyBackend, String) async throws -> Void)] = [
            ("ValkeyBackend.keys.prefix", { _ = try await $0.keys(prefix: $1) }),
            ("ValkeyBackend.all.prefix", { _ = try await $0.all(prefix: $1) }),
        ]

        private static let keys: [ParameterRow] =
            keyed.flatMap { parameter, call in
                Parameter.text(
                    parameter, empty: .refused("0 bytes", "1 to 65535"),
                    huge: .refused("\(10 << 20) bytes", "1 to 65535"),
                    other: .means("a key like any other")
                ) { key in try await ask { try await call($0, key) } }
            }
            + prefixed.flatMap { parameter, call in
                Parameter.text(parameter, empty: .means("every key"), huge: .means("no key"), other: .means("no key")) {
                    prefix in
                    try await ask { try await call($0, prefix) }
                }
            }
    }
#endif
