// The store: one command or one script for each operation.

#if Valkey
    public import PreforkChannels
    public import PreforkStore

    extension ValkeyBackend: StoreBackend {
        /// Keys have 1 to so many bytes of UTF-8, the prefix not counted.
        public static let maximumKeySize = 65_535

        public func load(_ key: String) async throws -> StoredValue? {
            var command = Command("GET")
            command.add(try name(of: key))
            return try value(in: try await ask(command, about: key), of: key)
        }

        public func load(_ keys: [String]) async throws -> [String: StoredValue] {
            guard !keys.isEmpty else { return [:] }
            return try await values(of: keys, names: keys.map(name))
        }

        public func store(
            _ key: String, _ value: StoredValue, expires: Duration?, if condition: StoreCondition
        ) async throws -> Bool {
            var command = Command("SET")
            command.add(try name(of: key))
            command.add(ValueFormat.bytes(of: value))
            if let expires {
                command.add("PX")
                command.add(try milliseconds(expires, key))
            }
            switch condition {
            case .always: break
            case .ifAbsent: command.add("NX")
            case .ifPresent: command.add("XX")
            }
            let reply = try await ask(command, about: key)
            switch reply {
            case .null: return false
            case _ where reply.isOK: return true
            default: throw Self.unexpected(reply, to: "SET")
            }
        }

        public func remove(_ key: String) async throws -> Bool {
            var command = Command("DEL")
            command.add(try name(of: key))
            return try number(in: try await ask(command, about: key), of: "DEL") > 0
        }

        public func increment(_ key: String, by amount: Int64) async throws -> Int64 {
            var command = Command("INCRBY")
            command.add(try name(of: key))
            command.add(amount)
            let reply = try await answer(to: command)
            guard case .error(let text) = reply else { return try number(in: reply, of: "INCRBY") }
            if text.contains("overflow") { throw StoreError(.overflow, key: key) }
            guard text.contains("not an integer") else {
                throw ValkeyError(refusal: text, password: settings.password, on: key)
            }
            throw try await mismatch(of: key)
        }

        public func compareAndSet(
            _ key: String, expecting expected: StoredValue?, to new: StoredValue?
        ) async throws -> Bool {
            let keys = [try name(of: key)]
            var arguments = expectation(expected)
            if let new { arguments.append(ValueFormat.bytes(of: new)) }
            let reply = try await run(.compareAndSet, keys: keys, arguments: arguments, about: key)
            return try number(in: reply, of: "EVALSHA") == 1
        }

        public func remainingLife(_ key: String) async throws -> Duration?? {
            var command = Command("PTTL")
            command.add(try name(of: key))
            switch try number(in: try await ask(command, about: key), of: "PTTL") {
            case -2: return .none
            case ..<0: return .some(nil)
            case let rest: return .some(.milliseconds(rest))
            }
        }

        public func setLife(_ key: String, _ expires: Duration?) async throws -> Bool {
            let name = try name(of: key)
            guard let expires else {
                return try number(in: try await run(.persist, keys: [name], arguments: [], about: key), of: "EVALSHA")
                    == 1
            }
            var command = Command("PEXPIRE")
            command.add(name)
            command.add(try milliseconds(expires, key))
            return try number(in: try await ask(command, about: key), of: "PEXPIRE") == 1
        }

        /// Why the key cannot be incremented. It may have changed since: then the present state is reported.
        private func mismatch(of key: String) async throws -> any Error {
            let kind = try await load(key)?.kind ?? .bytes
            return StoreError(.mismatch(ValueMismatch(stored: kind, asked: "Int64")), key: key)
        }
    }
#endif
