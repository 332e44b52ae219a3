// Several keys in one step: one script.

#if Valkey
    public import PreforkStore

    extension ValkeyBackend {
        public func perform(_ step: AtomicStep) async throws -> Bool {
            try check(step)
            var keys: [[UInt8]] = []
            var arguments = [Array(String(step.requirements.count).utf8)]
            for (key, value) in step.requirements {
                keys.append(try name(of: key))
                arguments += expectation(value)
            }
            for (key, change) in step.changes {
                keys.append(try name(of: key))
                arguments += try words(change, key)
            }
            let about = step.changes.first?.key ?? ""
            return try outcome(of: try await run(.step, keys: keys, arguments: arguments, about: about), step)
        }

        private func check(_ step: AtomicStep) throws(StoreError) {
            let changed = Set(step.changes.map(\.key))
            if step.changes.isEmpty { throw StoreError(.badStep("it changes nothing")) }
            if changed.count < step.changes.count { throw StoreError(.badStep("it changes a key twice")) }
            let count = changed.union(step.requirements.map(\.key)).count
            if count > AtomicStep.maximumKeys {
                throw StoreError(.badStep("\(count) keys exceed the limit of \(AtomicStep.maximumKeys)"))
            }
        }

        private func words(_ change: AtomicStep.Change, _ key: String) throws -> [[UInt8]] {
            switch change {
            case .set(let value, let expires):
                let life = try expires.map { String(try milliseconds($0, key)) } ?? ""
                return [Array("set".utf8), ValueFormat.bytes(of: value), Array(life.utf8)]
            case .increment(let amount):
                return [Array("increment".utf8), Array(String(amount).utf8), []]
            case .delete:
                return [Array("delete".utf8), [], []]
            }
        }

        private func outcome(of reply: Reply, _ step: AtomicStep) throws -> Bool {
            guard case .array(let elements) = reply, case .integer(let code)? = elements.first else {
                throw Self.unexpected(reply, to: "EVALSHA")
            }
            if code >= 0 { return code == 1 }
            guard elements.count > 1, case .integer(let number) = elements[1],
                let index = Int(exactly: number), 1...step.changes.count ~= index
            else {
                throw Self.unexpected(reply, to: "EVALSHA")
            }
            let key = step.changes[index - 1].key
            if code == -2 { throw StoreError(.overflow, key: key) }
            guard elements.count > 2, let stored = try value(in: elements[2], of: key) else {
                throw Self.unexpected(reply, to: "EVALSHA")
            }
            throw StoreError(.mismatch(ValueMismatch(stored: stored.kind, asked: "Int64")), key: key)
        }
    }
#endif
