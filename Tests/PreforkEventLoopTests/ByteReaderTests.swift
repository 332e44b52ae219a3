// Reading: split, merged, ended and broken streams, limits, cancellation.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ByteReaderTests {
    /// Both ways in which code reaches a stream: on its loop, and from another executor by way of the shared loop.
    private func everywhere(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await onOwnLoop(body)
        try await body()
    }

    @Test func mergedLinesAreReadOneByOne() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("one\r\ntwo\r\nrest", to: raw)
            close(raw)
            #expect(text(try await reader.read(until: "\r\n", limit: 100)) == "one\r\n")
            #expect(text(try await reader.read(until: "\r\n", limit: 100)) == "two\r\n")
            await #expect(throws: StreamError.self) { try await reader.read(until: "\r\n", limit: 100) }
            #expect(text(try await reader.readToEnd(limit: 100)) == "rest", "what had come is still there")
            #expect(try await reader.read(atMost: 10) == nil)
            reader.close()
        }
    }

    @Test func aDelimiterThatArrivesByteByByteIsFound() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            async let line = reader.read(until: "\r\n\r\n", limit: 1_000)
            for byte in "GET / HTTP/1.1\r\nA: b\r\n\r\nnext" {
                put(String(byte), to: raw)
                await Task.yield()
            }
            #expect(text(try await line) == "GET / HTTP/1.1\r\nA: b\r\n\r\n")
            #expect(text(try await reader.read(exactly: 4)) == "next")
            close(raw)
        }
    }

    @Test func whatNoReadCanBeAskedForIsAnErrorAndKeepsTheData() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("kept", to: raw)
            close(raw)
            let reads: [(String, @Sendable () async throws -> Void)] = [
                ("read(atMost: 0)", { _ = try await reader.read(atMost: 0) }),
                ("read(exactly: -5)", { _ = try await reader.read(exactly: -5) }),
                ("read(into:) with an empty buffer", { _ = try await reader.read(into: .init(start: nil, count: 0)) }),
                ("read(until:) with an empty delimiter", { _ = try await reader.read(until: "", limit: 100) }),
            ]
            for (call, read) in reads {
                let error = await #expect(throws: StreamError.self) { try await read() }
                #expect(error?.code == .badArgument(call))
                #expect(error?.description == "not possible: \(call)")
            }
            #expect(text(try await reader.readToEnd(limit: 100)) == "kept")
            reader.close()
        }
    }

    @Test func aLimitThatIsExceededThrowsAndKeepsTheData() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("0123456789\n", to: raw)
            for limit in [1, 5, 10] {
                do {
                    _ = try await reader.read(until: "\n", limit: limit)
                    Issue.record("no error at limit \(limit)")
                } catch let error as StreamError {
                    #expect(error.code == .limitExceeded(limit: limit))
                    #expect(error.description == "more than the limit of \(limit) bytes")
                }
            }
            #expect(text(try await reader.read(until: "\n", limit: 11)) == "0123456789\n")
            put("abcdef", to: raw)
            close(raw)
            do {
                _ = try await reader.readToEnd(limit: 5)
                Issue.record("no error")
            } catch let error as StreamError {
                #expect(error.code == .limitExceeded(limit: 5))
            }
            #expect(text(try await reader.readToEnd(limit: 6)) == "abcdef")
        }
    }

    @Test func exactlySoManyBytesOrAnErrorThatLosesNothing() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("abc", to: raw)
            #expect(try await reader.read(exactly: 0) == [])
            async let five = reader.read(exactly: 5)
            await Task.yield()
            put("defg", to: raw)
            #expect(text(try await five) == "abcde")
            close(raw)
            do {
                _ = try await reader.read(exactly: 1_000_000_000_000)
                Issue.record("no error")
            } catch let error as StreamError {
                #expect(error.code == .endOfStream)
            }
            #expect(text(try await reader.read(atMost: 10)) == "fg")
        }
    }

    @Test func readIntoTakesBufferedBytesFirst() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("line\nabc", to: raw)
            _ = try await reader.read(until: "\n", limit: 10)
            let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 2, alignment: 1)
            defer { target.deallocate() }
            #expect(try await reader.read(into: target) == 2)
            #expect(target[0] == UInt8(ascii: "a"))
            #expect(try await reader.read(into: target) == 1)
            close(raw)
            #expect(try await reader.read(into: target) == 0)
        }
    }

    @Test func aSecondReaderIsAnErrorAndTheFirstGoesOn() async throws {
        try await onOwnLoop {
            let (reader, raw) = try pipeReader()
            async let first = reader.read(atMost: 10)
            await Task.yield()
            do {
                _ = try await reader.read(atMost: 10)
                Issue.record("no error")
            } catch let error as StreamError {
                #expect(error.code == .readInProgress)
            }
            put("x", to: raw)
            #expect(text(try await first) == "x")
            close(raw)
        }
    }

    @Test func linesEndWithLFOrCRLFAndTheLastMayHaveNoEnd() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("a\nb\r\n\n\r\nlast", to: raw)
            close(raw)
            var lines: [String] = []
            for try await line in reader.lines { lines.append(line) }
            #expect(lines == ["a", "b", "", "", "last"])
        }
    }

    @Test func aLineOverTheLimitThrowsAndStaysReadable() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("ok\n0123456789\n", to: raw)
            close(raw)
            var lines = reader.lines(limit: 5).makeAsyncIterator()
            #expect(try await lines.next() == "ok")
            await #expect(throws: StreamError.self) { try await lines.next() }
            #expect(text(try await reader.readToEnd(limit: 100)) == "0123456789\n")
        }
    }

    @Test func manyLinesComeWholeAndInOrder() async throws {
        try await everywhere {
            let ends = try makePipe()
            let reader = try ByteReader(adopting: ends.reading)
            let writer = try ByteWriter(adopting: ends.writing)
            let count = 20_000
            async let written: Void = {
                var batch = ""
                for number in 0..<count {
                    batch += "line \(number)\(number.isMultiple(of: 2) ? "\n" : "\r\n")"
                    if number % 997 == 0 || number == count - 1 {
                        try await writer.write(batch)
                        batch = ""
                    }
                }
                try await writer.finish()
            }()
            var next = 0
            for try await line in reader.lines {
                guard line == "line \(next)" else {
                    Issue.record("line \(next) is \(line)")
                    break
                }
                next += 1
            }
            try await written
            #expect(next == count)
        }
    }

    @Test func chunksAreEverythingInOrder() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("abc", to: raw)
            close(raw)
            var all: [UInt8] = []
            for try await chunk in reader.chunks { all += chunk }
            #expect(text(all) == "abc")
        }
    }

    @Test func aCancelledReadEndsAtOnceAndTheStreamGoesOn() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            let task = Task { try await reader.read(atMost: 10) }
            try await Task.sleep(for: .milliseconds(5))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            put("still", to: raw)
            #expect(text(try await reader.read(atMost: 10)) == "still")
            close(raw)
        }
    }

    @Test func aReadOfACancelledTaskDoesNotEvenLook() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            put("data", to: raw)
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await reader.read(atMost: 10)
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(text(try await reader.read(atMost: 10)) == "data")
            close(raw)
        }
    }

    /// Cancellation races with arrival from another thread, many times over: one of the two wins, nothing hangs.
    @Test func cancellationAndArrivalAtTheSameTimeNeverHang() async throws {
        let (reader, raw) = try pipeReader()
        var read = 0
        var written = 0
        for _ in 0..<2_000 {
            let task = Task { try await reader.read(atMost: 1) }
            put("x", to: raw)
            written += 1
            task.cancel()
            if case .success(.some) = await task.result { read += 1 }
        }
        close(raw)
        let rest = try await reader.readToEnd(limit: 10_000)
        #expect(read + rest.count == written)
    }

    @Test func closingEndsAWaitingRead() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            let task = Task { try await reader.read(atMost: 10) }
            try await Task.sleep(for: .milliseconds(5))
            reader.close()
            do {
                _ = try await task.value
                Issue.record("no error")
            } catch let error as StreamError {
                #expect(error.code == .closed)
            }
            close(raw)
        }
    }

    @Test func onCloseIsCalledOnceEarlyAndLate() async throws {
        try await everywhere {
            let (reader, raw) = try pipeReader()
            let calls = Calls()
            reader.onClose { calls.add() }
            put("unread", to: raw)
            #expect(calls.count == 0)
            close(raw)
            try await eventually("onClose") { calls.count == 1 }
            reader.onClose { calls.add() }
            try await eventually("late onClose") { calls.count == 2 }
            #expect(text(try await reader.readToEnd(limit: 100)) == "unread")
            reader.close()
            #expect(calls.count == 2)
        }
    }

    @Test func aHalfClosedPeerCanStillBeAnswered() async throws {
        try await everywhere {
            let (connection, raw) = try socketPair()
            put("question", to: raw)
            shutdown(raw, Int32(SHUT_WR))
            #expect(text(try await connection.reader.readToEnd(limit: 100)) == "question")
            try await connection.writer.write("answer")
            try await connection.writer.finish()
            var bytes = [UInt8](repeating: 0, count: 100)
            #expect(recv(raw, &bytes, 100, 0) == 6)
            #expect(recv(raw, &bytes, 100, 0) == 0)
            connection.close()
            close(raw)
        }
    }

    @Test func aDescriptorIsClosedWithItsLastOwner() async throws {
        let ends = try makePipe()
        do {
            let reader = try ByteReader(adopting: ends.reading)
            put("x", to: ends.writing)
            _ = try await reader.read(atMost: 1)
        }
        try await eventually("the reading end is closed") {
            var status = pollfd(fd: ends.writing, events: Int16(POLLOUT), revents: 0)
            return poll(&status, 1, 0) == 1 && status.revents & Int16(POLLERR) != 0
        }
        close(ends.writing)
    }
}
