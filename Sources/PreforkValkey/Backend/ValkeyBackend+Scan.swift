// Walks over the keys.

#if Valkey
    public import PreforkStore

    extension ValkeyBackend {
        /// How many keys the server examines for one answer, while its other clients wait.
        private static let pageSize: Int64 = 1_000

        public func keys(prefix: String) async throws -> [String] {
            var found: Set<String> = []
            try await scan(prefix) { keys in found.formUnion(keys) }
            return Array(found)
        }

        /// All keys that begin with `prefix`, with their values, found by a walk (SCAN and MGET) while others may
        /// change them.
        ///
        /// - Throws: `ValkeyError`, for example `.foreignValue` for plain text that another program has written.
        public func all(prefix: String) async throws -> [String: StoredValue] {
            var values: [String: StoredValue] = [:]
            try await scan(prefix) { keys in
                guard !keys.isEmpty else { return }
                let page = try await self.values(of: keys, names: keys.map { Array((self.settings.prefix + $0).utf8) })
                values.merge(page) { _, newer in newer }
            }
            return values
        }

        /// How many keys there are: DBSIZE without `ValkeySettings.prefix`, else a walk over all keys with it.
        ///
        /// - Throws: `ValkeyError`.
        public func count() async throws -> Int {
            if settings.prefix.isEmpty {
                return Int(clamping: try number(in: try await ask(Command("DBSIZE"), about: ""), of: "DBSIZE"))
            }
            return try await keys(prefix: "").count
        }

        /// Calls `body` with each page of keys that start with `prefix`. A key may come twice. A key that is not UTF-8
        /// was not written by this package.
        private func scan(_ prefix: String, _ body: ([String]) async throws -> Void) async throws {
            let pattern = GlobPattern.startingWith(settings.prefix + prefix)
            let skipped = settings.prefix.utf8.count
            var cursor = Array("0".utf8)
            repeat {
                var command = Command("SCAN")
                command.add(cursor)
                command.add("MATCH")
                command.add(pattern)
                command.add("COUNT")
                command.add(Self.pageSize)
                let reply = try await ask(command, about: prefix)
                guard case .array(let parts) = reply, parts.count == 2, case .bytes(let next) = parts[0],
                    case .array(let names) = parts[1]
                else { throw Self.unexpected(reply, to: "SCAN") }
                try await body(
                    names.compactMap { name in
                        guard case .bytes(let bytes) = name else { return nil }
                        return String(validating: bytes.dropFirst(skipped), as: UTF8.self)
                    })
                cursor = next
            } while cursor != Array("0".utf8)
        }
    }
#endif
