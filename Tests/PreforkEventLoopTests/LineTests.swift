// Lines in blocks: split, limited, given back, and regular expressions.

import Glibc
import PreforkEventLoop
import PreforkSystem
import Testing

@Suite(.timeLimit(.minutes(2))) struct LineTests {
    private func everywhere(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await onOwnLoop(body)
        try await body()
    }

    @Test func manyLinesOfAllLengthsArriveWhole() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            let lines = (0..<3_000).map { String(repeating: "x", count: $0 * 7919 % 300) + "é" }
            let writer = try ByteWriter(adopting: raw)
            async let writing: Void = {
                let bytes = Array(lines.joined(separator: "\n").utf8)
                // In pieces that end anywhere, also inside of a character.
                for start in stride(from: 0, to: bytes.count, by: 997) {
                    try await writer.write(bytes[start..<min(start + 997, bytes.count)])
                }
                try await writer.finish()
            }()
            var received: [String] = []
            for try await line in reader.lines { received.append(line) }
            try await writing
            #expect(received == lines)
        }
    }

    @Test func oneLineAtATimeLeavesTheRestReadable() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("one\r\ntwo\n\nlong line\nend", to: raw)
            #expect(try await reader.readLine() == "one")
            #expect(try await reader.readLine(limit: 4) == "two")
            #expect(try await reader.readLine() == "")
            // Its end counts: nine bytes and a line feed.
            await #expect(throws: StreamError.self) { try await reader.readLine(limit: 9) }
            #expect(try await reader.readLine(limit: 10) == "long line")
            close(raw)
            #expect(try await reader.readLine() == "end")
            #expect(try await reader.readLine() == nil)
        }
    }

    @Test func linesAsBytesAreTheSame() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("a\r\n\nb\r", to: raw)
            close(raw)
            var lines: [[UInt8]] = []
            for try await line in reader.byteLines { lines.append(Array(line)) }
            #expect(lines == [Array("a".utf8), [], Array("b\r".utf8)])
        }
    }

    @Test func linesThatWereNotAskedForStayReadable() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("one\ntwo\nthree\nfo", to: raw)
            for try await line in reader.lines {
                #expect(line == "one")
                break
            }
            put("ur\n", to: raw)
            close(raw)
            #expect(text(try await reader.read(atMost: 4)) == "two\n")
            for try await line in reader.byteLines {
                #expect(Array(line) == Array("three".utf8))
                break
            }
            #expect(text(try await reader.readToEnd(limit: 100)) == "four\n")
        }
    }

    @Test func aLineThatIsTooLongStaysReadableAndSoDoesWhatFollows() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("1234\n12345\n1\n", to: raw)
            close(raw)
            var lines: [String] = []
            await #expect(throws: StreamError.self) {
                for try await line in reader.lines(limit: 5) { lines.append(line) }
            }
            #expect(lines == ["1234"])
            #expect(text(try await reader.readToEnd(limit: 100)) == "12345\n1\n")
        }
    }

    @Test func aCancelledIterationEndsAndLosesNothing() async throws {
        let (reader, raw) = try pipeReader()
        put("one\ntwo\nthree\n", to: raw)
        close(raw)
        let task = Task {
            var lines: [String] = []
            do {
                for try await line in reader.lines {
                    lines.append(line)
                    withUnsafeCurrentTask { $0?.cancel() }
                }
            } catch is CancellationError {
                return lines
            }
            return ["not cancelled"]
        }
        #expect(try await task.value == ["one"])
        #expect(text(try await reader.readToEnd(limit: 100)) == "two\nthree\n")
    }

    @Test func aStreamThatAlwaysHasMoreLeavesTheOthersTheirTurns() async throws {
        try await onOwnLoop {
            let zero = open("/dev/zero", O_RDONLY | O_CLOEXEC)
            let endless = try ByteReader(adopting: zero)
            let (reader, raw) = try pipeReader()
            let reading = Task(executorPreference: EventLoop.current) {
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
                defer { buffer.deallocate() }
                while !Task.isCancelled { _ = try? await endless.read(into: buffer) }
            }
            try await EventLoop.sleep(for: .milliseconds(5))
            put("hello", to: raw)
            #expect(text(try await reader.read(exactly: 5)) == "hello")
            reading.cancel()
            await reading.value
            close(raw)
        }
    }

    @Test func aRegularExpressionIsFoundWhereverItsBytesArrive() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            async let prompt = reader.read(until: #/[#$] /#, limit: 100)
            for byte in Array("wélcome\nuser@host:~$ rest".utf8) {
                var byte = byte
                _ = write(raw, &byte, 1)
                await Task.yield()
            }
            #expect(text(try await prompt) == "wélcome\nuser@host:~$ ")
            #expect(text(try await reader.read(exactly: 4)) == "rest")
            put("a\u{FF}", to: raw)
            var invalid: [UInt8] = [0xFF, 0x0D, 0x0A, UInt8(ascii: "x")]
            _ = write(raw, &invalid, 4)
            #expect(try await reader.read(until: /\r\n/, limit: 100) == Array("a\u{FF}".utf8) + [0xFF, 0x0D, 0x0A])
            #expect(text(try await reader.read(exactly: 1)) == "x")
            close(raw)
        }
    }

    @Test func aRegularExpressionKeepsToItsLimitAndToTheEnd() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("0123456789x", to: raw)
            await #expect(throws: StreamError.self) { try await reader.read(until: /x/, limit: 10) }
            #expect(text(try await reader.read(until: /x/, limit: 11)) == "0123456789x")
            put("tail", to: raw)
            close(raw)
            await #expect(throws: StreamError.self) { try await reader.read(until: /x/, limit: 10) }
            #expect(text(try await reader.readToEnd(limit: 10)) == "tail")
        }
    }
}
