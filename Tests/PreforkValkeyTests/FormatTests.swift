// The pure parts: formats, patterns, buffers, queues.

#if Valkey
    import PreforkBackendSuite
    import PreforkChannels
    import PreforkStore
    import PreforkSystem
    import Testing

    @testable import PreforkValkey

    @Suite(.timeLimit(.minutes(2))) struct FormatTests {
        @Test func everyValueComesBackAsItWas() {
            for value in valuesOfEveryKind { #expect(ValueFormat.value(of: ValueFormat.bytes(of: value)) == value) }
            let seed = UInt64.random(in: 0 ... .max)
            var random = SplitMix64(seed: seed)
            for _ in 0..<20_000 {
                let kind = ValueKind(rawValue: .random(in: 1...7, using: &random))!
                let bytes = (0..<Int.random(in: 0..<12, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                let value = StoredValue(kind: kind, bytes: bytes)
                #expect(ValueFormat.value(of: ValueFormat.bytes(of: value)) == value, "seed \(seed)")
            }
        }

        @Test func integersAreTextForTheServer() {
            for (number, text) in [
                (Int64(0), "0"), (-12, "-12"), (.max, "9223372036854775807"), (.min, "-9223372036854775808"),
            ] {
                #expect(ValueFormat.bytes(of: StoredValue(number)) == Array(text.utf8))
            }
        }

        /// Bytes have one value at most, and that has these bytes: otherwise equal values would differ on the server.
        @Test func bytesThatAreNoValuesAreNone() {
            for text in [
                "", "hello", "+1", "-", "-0", "007", "1.5", "12 ", " 12", "9223372036854775808", "0x10", "1e3",
            ] {
                #expect(ValueFormat.value(of: Array(text.utf8)) == nil, "\(text)")
            }
            #expect(ValueFormat.value(of: [3, 1, 0, 0, 0, 0, 0, 0, 0]) == nil)
            #expect(ValueFormat.value(of: [0]) == nil)
            #expect(ValueFormat.value(of: [8, 1]) == nil)
            var random = SystemRandomNumberGenerator()
            for _ in 0..<20_000 {
                let bytes = (0..<Int.random(in: 0..<12)).map { _ in
                    [UInt8.random(in: 0...9), .random(in: 45...57)].randomElement(using: &random)!
                }
                if let value = ValueFormat.value(of: bytes) { #expect(ValueFormat.bytes(of: value) == bytes) }
            }
        }

        @Test func patternsMatchTheirPrefixOnly() {
            #expect(String(decoding: GlobPattern.startingWith(""), as: UTF8.self) == "*")
            #expect(String(decoding: GlobPattern.startingWith("a*?[b]\\é"), as: UTF8.self) == "a\\*\\?\\[b\\]\\\\é*")
        }

        @Test func aFullBufferDropsTheOldestAndCounts() {
            var buffer = EventBuffer(limit: 3)
            for number in 0..<10 { buffer.append(StoredValue(number)) }
            #expect(buffer.next() == .lagged(7))
            buffer.append(StoredValue(10))
            #expect(buffer.next() == .lagged(1))
            for number in 8...10 { #expect(buffer.next() == .message(StoredValue(number))) }
            #expect(buffer.next() == nil)
        }

        @Test func aGapStaysWhereItWasUntilItIsDropped() {
            var buffer = EventBuffer(limit: 2)
            buffer.append(StoredValue(0))
            buffer.appendGap()
            buffer.appendGap()
            buffer.append(StoredValue(1))
            #expect(buffer.next() == .message(StoredValue(0)))
            #expect(buffer.next() == .lagged(nil))
            #expect(buffer.next() == .message(StoredValue(1)))
            buffer.appendGap()
            for number in 2..<5 { buffer.append(StoredValue(number)) }
            #expect(buffer.next() == .lagged(1))
            #expect(buffer.next() == .lagged(nil))
            #expect(buffer.next() == .message(StoredValue(3)))
            buffer.appendGap()
            #expect(buffer.next() == .message(StoredValue(4)))
            #expect(buffer.next() == .lagged(nil))
            buffer.appendGap()
            #expect(buffer.next() == .lagged(nil))
            #expect(buffer.next() == nil)
        }

        /// Whatever is read or dropped: what is told adds up to what came.
        @Test func nothingIsLostUncounted() {
            var random = SystemRandomNumberGenerator()
            for _ in 0..<200 {
                var buffer = EventBuffer(limit: Int.random(in: 1...5))
                var (came, told, last) = (0, 0, -1)
                func note(_ event: PublishedEvent?) {
                    switch event {
                    case .message(let value)?:
                        told += 1
                        let number = Int((try? value.number) ?? -1)
                        #expect(number > last)
                        last = number
                    case .lagged(let count?)?: told += count
                    case .lagged(nil)?, nil: break
                    }
                }
                for _ in 0..<100 {
                    switch Int.random(in: 0..<5, using: &random) {
                    case 0...2:
                        buffer.append(StoredValue(came))
                        came += 1
                    case 3: buffer.appendGap()
                    default: note(buffer.next())
                    }
                }
                while let event = buffer.next() { note(event) }
                #expect(told == came)
            }
        }

        @Test func aQueueKeepsItsOrder() {
            var queue = Fifo<Int>()
            var (next, expected) = (0, 0)
            for round in 0..<5_000 {
                for _ in 0..<round % 7 {
                    queue.append(next)
                    next += 1
                }
                for _ in 0..<round % 5 {
                    guard let first = queue.popFirst() else { break }
                    #expect(first == expected)
                    expected += 1
                }
                #expect(queue.count == next - expected)
            }
            #expect(queue.takeAll() == Array(expected..<next))
            #expect(queue.isEmpty)
        }

        @Test func pausesDoubleUpToTheLimitLessChance() {
            var backoff = Backoff(.milliseconds(50) ... .milliseconds(300))
            #expect(
                [0, 0, 0, 0, 0].map { backoff.pause(chance: $0) } == [50, 100, 200, 300, 300].map { .milliseconds($0) })
            backoff.reset()
            #expect(backoff.pause(chance: 1) == .milliseconds(25))
        }

        @Test func errorTextsNameNoSecrets() {
            let secret: ValkeyPassword = "hunter2"
            #expect("\(secret)" == "(password)")
            #expect(String(reflecting: secret) == "(password)")
            var settings = ValkeySettings(.unix(path: "/s"), user: "u", password: secret)
            settings.database = 1
            var text = ""
            dump(settings, to: &text)
            #expect(!text.contains("hunter2") && !"\(settings)".contains("hunter2"))
            let echo = ValkeyError(refusal: "ERR unknown command `X`, with args beginning with: `value`", password: nil)
            #expect(echo.code == .refused("ERR unknown command `X`"))
            #expect(ValkeyError(refusal: "ERR hunter2", password: secret).code == .refused("(text withheld)"))
        }
    }
#endif
