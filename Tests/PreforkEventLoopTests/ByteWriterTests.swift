// Writing: backpressure, order, vanished readers, cancellation.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ByteWriterTests {
    @Test func aLargeWriteWaitsForItsReader() async throws {
        try await onOwnLoop {
            let ends = try makePipe()
            let reader = try ByteReader(adopting: ends.reading)
            let writer = try ByteWriter(adopting: ends.writing)
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            async let written: Void = {
                try await writer.write(bytes)
                try await writer.finish()
            }()
            let read = try await reader.readToEnd(limit: 4_000_000)
            try await written
            #expect(read == bytes)
        }
    }

    @Test func writesOfSeveralTasksDoNotMix() async throws {
        try await onOwnLoop {
            let ends = try makePipe()
            let reader = try ByteReader(adopting: ends.reading)
            let writer = try ByteWriter(adopting: ends.writing)
            let size = 200_000
            async let written: Void = {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for letter in "abcdef" {
                        group.addTask { try await writer.write(String(repeating: letter, count: size)) }
                    }
                    try await group.waitForAll()
                }
                try await writer.finish()
            }()
            var seen: [UInt8] = []
            for _ in 0..<6 {
                let block = try await reader.read(exactly: size)
                #expect(Set(block).count == 1, "a block holds bytes of one write only")
                seen.append(block[0])
            }
            try await written
            #expect(Set(seen).count == 6)
        }
    }

    @Test func aVanishedReaderIsAnErrorNeverASignal() async throws {
        let ends = try makePipe()
        let writer = try ByteWriter(adopting: ends.writing)
        close(ends.reading)
        do {
            try await writer.write("x")
            Issue.record("no error")
        } catch let error as StreamError {
            #expect(error.code == .peerClosed)
            #expect(error.underlying?.errno.name == "EPIPE")
            #expect(error.underlying?.call == "write")
        }
        let (connection, raw) = try socketPair()
        close(raw)
        await #expect(throws: StreamError.self) { try await connection.writer.write("x") }
        connection.close()
    }

    @Test func aReaderThatVanishesWhileAWriteWaitsEndsIt() async throws {
        let ends = try makePipe()
        let writer = try ByteWriter(adopting: ends.writing)
        let task = Task { try await writer.write([UInt8](repeating: 1, count: 1_000_000)) }
        try await Task.sleep(for: .milliseconds(20))
        close(ends.reading)
        await #expect(throws: StreamError.self) { try await task.value }
    }

    @Test func aWriteCancelledHalfWayAbandonsTheStream() async throws {
        try await onOwnLoop {
            let ends = try makePipe()
            let writer = try ByteWriter(adopting: ends.writing)
            let task = Task(executorPreference: EventLoop.current) {
                try await writer.write([UInt8](repeating: 1, count: 1_000_000))
            }
            try await EventLoop.sleep(for: .milliseconds(5))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            do {
                try await writer.write("x")
                Issue.record("no error")
            } catch let error as StreamError {
                #expect(error.code == .writeAbandoned)
            }
            close(ends.reading)
        }
    }

    @Test func aWriteCancelledBeforeItsTurnWritesNothingAndTheOthersGoOn() async throws {
        try await onOwnLoop {
            let ends = try makePipe()
            let reader = try ByteReader(adopting: ends.reading)
            let writer = try ByteWriter(adopting: ends.writing)
            let loop = EventLoop.current
            let first = Task(executorPreference: loop) {
                try await writer.write([UInt8](repeating: 1, count: 300_000))
            }
            try await EventLoop.sleep(for: .milliseconds(2))
            let second = Task(executorPreference: loop) { try await writer.write([2, 2, 2]) }
            let third = Task(executorPreference: loop) { try await writer.write([3, 3, 3]) }
            try await EventLoop.sleep(for: .milliseconds(2))
            second.cancel()
            await #expect(throws: CancellationError.self) { try await second.value }
            let bytes = try await reader.read(exactly: 300_003)
            #expect(bytes.suffix(3) == [3, 3, 3])
            try await first.value
            try await third.value
        }
    }

    @Test func afterFinishNothingCanBeWritten() async throws {
        let (connection, raw) = try socketPair()
        try await connection.writer.finish()
        try await connection.writer.finish()
        do {
            try await connection.writer.write("x")
            Issue.record("no error")
        } catch let error as StreamError {
            #expect(error.code == .closed)
        }
        put("still readable", to: raw)
        #expect(text(try await connection.reader.read(atMost: 100)) == "still readable")
        connection.close()
        close(raw)
    }
}
