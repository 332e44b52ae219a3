// The form of keys and durations in commands, and the meaning of replies.

#if Valkey
    import PreforkChannels
    import PreforkStore

    extension ValkeyBackend {
        /// What the key is called on the server.
        func name(of key: String) throws(StoreError) -> [UInt8] {
            let count = key.utf8.count
            guard 1...Self.maximumKeySize ~= count else {
                throw StoreError(.badKey(bytes: count, limit: Self.maximumKeySize))
            }
            return Array(settings.prefix.utf8) + key.utf8
        }

        /// The words of a requirement in a script.
        func expectation(_ value: StoredValue?) -> [[UInt8]] {
            [Array((value == nil ? "absent" : "is").utf8), value.map(ValueFormat.bytes) ?? []]
        }

        /// At least 1, at most what the server can add to its clock.
        func milliseconds(_ duration: Duration, _ key: String) throws(StoreError) -> Int64 {
            guard duration > .zero else {
                throw StoreError(.badArgument("an expiry of \(duration) is not above zero"), key: key)
            }
            let longest = Duration.seconds(1_000_000_000_000)  // 31,000 years
            let (seconds, attoseconds) = min(duration, longest).components
            // Rounded up: a life of less than a millisecond must not become zero.
            let fraction = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
            return seconds * 1_000 + fraction
        }

        func value(in reply: Reply, of key: String) throws -> StoredValue? {
            switch reply {
            case .null: return nil
            case .bytes(let bytes):
                guard let value = ValueFormat.value(of: bytes) else { throw ValkeyError(.foreignValue, on: key) }
                return value
            default: throw Self.unexpected(reply, to: "a question for a value")
            }
        }

        func number(in reply: Reply, of command: String) throws(ValkeyError) -> Int64 {
            guard case .integer(let number) = reply else { throw Self.unexpected(reply, to: command) }
            return number
        }

        /// - Parameter names: what the keys are called on the server.
        func values(of keys: [String], names: [[UInt8]]) async throws -> [String: StoredValue] {
            var command = Command("MGET")
            for name in names { command.add(name) }
            let reply = try await ask(command, about: keys.first ?? "")
            guard case .array(let elements) = reply, elements.count == keys.count else {
                throw Self.unexpected(reply, to: "MGET")
            }
            var values: [String: StoredValue] = [:]
            for (key, element) in zip(keys, elements) { values[key] = try value(in: element, of: key) }
            return values
        }
    }
#endif
