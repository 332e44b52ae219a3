// Every public parameter of PreforkEventLoop with values that make no sense.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkEventLoop",
            reasons: [
                "ByteReader.consume.count": "a documented precondition: see the test below",
                "ServingEvent": "what a server tells",
            ])
    }

    /// It cannot throw: a parser that consumed what it has not seen would take what comes later for what it skipped.
    @Test func consumingWhatIsNotThereEndsTheProgram() async throws {
        for count in [-1, 1, Int.min, Int.max] {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                [count = count as Int] in
                try EventLoop().run {
                    let (reader, _) = try pipeReader()
                    reader.consume(count)
                }
            }
            let errors = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(errors.contains("consuming \(count) of 0 bytes"))
        }
    }

    /// A reader of "one\ntwo" and the end.
    private static func reader() throws -> ByteReader {
        let (reader, raw) = try pipeReader()
        put("one\ntwo", to: raw)
        close(raw)
        return reader
    }

    private static let limits: [(parameter: String, read: @Sendable (ByteReader, Int) async throws -> Void)] = [
        ("ByteReader.read.limit", { _ = try await $0.read(until: "\n", limit: $1) }),
        ("ByteReader.read.limit", { _ = try await $0.read(until: [10], limit: $1) }),
        ("ByteReader.read.limit", { _ = try await $0.read(until: #/\n/#, limit: $1) }),
        ("ByteReader.readLine.limit", { _ = try await $0.readLine(limit: $1) }),
        ("ByteReader.readToEnd.limit", { _ = try await $0.readToEnd(limit: $1) }),
        ("ByteReader.lines.limit", { for try await _ in $0.lines(limit: $1) {} }),
        ("ByteReader.byteLines.limit", { for try await _ in $0.byteLines(limit: $1) {} }),
    ]

    private static let adopters: [(parameter: String, adopt: @Sendable (Int32) throws -> Void)] = [
        ("ByteReader.init.adopting", { try ByteReader(adopting: $0).close() }),
        ("ByteWriter.init.adopting", { try ByteWriter(adopting: $0).close() }),
        ("Connection.init.adopting", { try Connection(adopting: $0).close() }),
    ]

    private static let table: [ParameterRow] = reading + adopting + writing + times + connecting + blocking

    private static let blocking: [ParameterRow] =
        Parameter.number(
            "BlockingLimits.init.threads", zero: .refuses(["threads 0"]), negative: .refuses(["threads -"]),
            huge: .refuses(["threads \(Int.max)"])
        ) { (threads: Int) in _ = try BlockingLimits(threads: threads).checked() }
        + Parameter.value("BlockingLimits.init.threads", "nil", .means("four for each processor")) {
            let threads = try BlockingLimits().checked().threads
            #expect(threads >= 4)
        }
        + Parameter.number(
            "BlockingLimits.init.queue", zero: .means("a closure without a free thread is refused"),
            negative: .refuses(["queue -"]), huge: .means("no limit")
        ) { (queue: Int) in
            let queue = try BlockingLimits(queue: queue).checked().queue
            let pool = ThreadPool(threads: 1, queue: queue, idle: .milliseconds(1), name: "row") { _ in }
            _ = try pool.submit(ThreadPool.Job(run: {}, abandon: {}))
        }

    /// Addresses that cannot be connected to. No address is taken for another one.
    private static let addresses: [(address: SocketAddress, words: [String])] = [
        (.unix(path: ""), ["connect", "unix:"]), (.unix(path: "a\0b"), ["unix:a\\u{0}b", "Invalid argument"]),
        (.unix(path: "/nowhere/\u{1B}"), ["unix:/nowhere/\\u{1B}"]),
        (.unix(path: String(repeating: "x", count: 10 << 20)), ["unix:xxx", "too long"]),
        (.ipv4(0x7F00_0001, port: 0), ["127.0.0.1:0"]), (.ipv6(0, 1, port: 0, scope: 0), ["[::1]:0"]),
        (.other(family: 0), ["family 0"]), (.other(family: .max), ["family 65535"]),
    ]

    private static let connecting: [ParameterRow] = addresses.flatMap { address, words in
        Parameter.value("Connection.connect.to", "\(address)".prefix(40) + "", .refuses(words)) {
            try await Connection.connect(to: address).close()
        }
    }

    private static let reading: [ParameterRow] =
        limits.flatMap { parameter, read in
            Parameter.number(
                parameter, zero: .refused("limit of 0"), negative: .refused("limit of -"), huge: .means("no limit")
            ) { (limit: Int) in
                let reader = try reader()
                defer { reader.close() }
                try await read(reader, limit)
            }
        }
        + Parameter.number(
            "ByteReader.read.atMost", zero: .refused("atMost: 0"), negative: .refused("atMost: -"),
            huge: .means("what has come")
        ) { (count: Int) in
            let reader = try reader()
            defer { reader.close() }
            #expect(text(try await reader.read(atMost: count)) == "one\ntwo")
        }
        + Parameter.number(
            "ByteReader.read.exactly", zero: .means("no byte"), negative: .refused("exactly: -"),
            huge: .refused("ended early")
        ) { (count: Int) in
            let reader = try reader()
            defer { reader.close() }
            mustHold(try await reader.read(exactly: count).isEmpty)
        }
        + Parameter.text(
            "ByteReader.read.until", empty: .refused("empty delimiter"), huge: .refused("ended early"),
            other: .refused("ended early")
        ) { delimiter in
            let reader = try reader()
            defer { reader.close() }
            _ = try await reader.read(until: delimiter, limit: 100 << 20)
        }
        + Parameter.list(
            "ByteReader.read.until", of: UInt8(7), empty: .refused("empty delimiter"), huge: .refused("ended early")
        ) { delimiter in
            let reader = try reader()
            defer { reader.close() }
            _ = try await reader.read(until: delimiter, limit: 100 << 20)
        }

    private static let adopting: [ParameterRow] = adopters.flatMap { parameter, adopt in
        Parameter.number(
            parameter, zero: .means("a descriptor like any other"), negative: .refused("descriptor -"),
            huge: .refused("descriptor \(Int32.max)")
        ) { (descriptor: Int32) in
            // 0 is not the test's to close: a socket stands for it.
            var ends: [Int32] = [-1, -1]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            defer { close(ends[1]) }
            if descriptor == 0 { return try adopt(ends[0]) }
            close(ends[0])
            try adopt(descriptor)
        }
    }

    /// What arrives when it is written.
    private static func arrives(_ count: Int, _ write: @escaping @Sendable (ByteWriter) async throws -> Void)
        async throws
    {
        let ends = try makePipe()
        let (reader, writer) = (try ByteReader(adopting: ends.reading), try ByteWriter(adopting: ends.writing))
        defer { reader.close() }
        async let bytes = reader.readToEnd(limit: 100 << 20)
        try await write(writer)
        writer.close()
        mustHold(try await bytes.count == count)
    }

    private static let writing: [ParameterRow] =
        Parameter.text(
            "ByteWriter.write.text", empty: .means("nothing is written"), huge: .means("all of it, as it is taken"),
            other: .means("the bytes as they are")
        ) { text in try await arrives(text.utf8.count) { try await $0.write(text) } }
        + Parameter.list(
            "ByteWriter.write.bytes", of: UInt8(7), empty: .means("nothing is written"),
            huge: .means("all of it, as it is taken")
        ) { bytes in
            try await arrives(bytes.count) { try await $0.write(bytes) }
            try await arrives(bytes.count) { try await $0.write(bytes[...]) }
        }

    /// Runs `body` until it has come to where it waits, and cancels it there.
    private static func cancelled(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task { try await body() }
        try await EventLoop.sleep(for: .milliseconds(5))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    private static let times: [ParameterRow] =
        Parameter.duration(
            "withTimeout.timeout", zero: .refused("not done within 0.0 seconds"),
            negative: .refused("not done within -"),
            huge: .means("no timeout that anybody sees")
        ) { timeout in
            mustHold(try await withTimeout(timeout) { 7 } == 7)
        }
        + Parameter.duration(
            "EventLoop.sleep.for", zero: .means("a turn for the others"), negative: .means("a turn for the others"),
            huge: .means("until it is cancelled")
        ) { duration in
            if duration <= .zero { return try await EventLoop.sleep(for: duration) }
            try await cancelled { try await EventLoop.sleep(for: duration) }
        }
        + Parameter.duration(
            "StopRequest.wait.atMost", zero: .means("a look"), negative: .means("a look"),
            huge: .means("until the stop")
        ) { limit in
            let request = try EventLoop().stopRequest
            if limit <= .zero { return mustHold(try await request.wait(atMost: limit) == false) }
            try await cancelled { _ = try await request.wait(atMost: limit) }
        }
        + Parameter.duration(
            "EventLoop.call.after", zero: .means("at the next turn"), negative: .means("at the next turn"),
            huge: .means("never, but by cancel")
        ) { delay in
            try await onOwnLoop {
                let calls = Calls()
                let call = EventLoop.current?.call(after: delay) { calls.add() }
                for _ in 0..<10 { try await EventLoop.sleep(for: .milliseconds(1)) }
                #expect(calls.count == (delay <= .zero ? 1 : 0))
                call?.cancel()
            }
        }
        + Parameter.number(
            "Listener.serve.limit", zero: .refused("a limit of 0"), negative: .refused("a limit of -"),
            huge: .means("as many as there are descriptors")
        ) { (limit: Int) in
            let listener = try Listener(.tcp("127.0.0.1", 0))
            defer { listener.close() }
            if limit <= 0 { return try await listener.serve(limit: limit) { _ in } }
            try await cancelled { try await listener.serve(limit: limit) { _ in } }
        }
        + Parameter.number(
            "Listener.serve.handoverVersions", zero: .means("a version like any other"),
            negative: .refused("handover versions"), huge: .refused("handover versions")
        ) { (version: Int) in
            let listener = try Listener(.tcp("127.0.0.1", 0))
            defer { listener.close() }
            let serve: @Sendable () async throws -> Void = {
                try await listener.serve(
                    handoverVersions: version...version, resuming: { (_: Connection, _: Int) in }
                ) { _ in }
            }
            if version != 0 { return try await serve() }
            try await cancelled(serve)
        }
        + Parameter.number(
            "Connection.closeGently.limit", zero: .means("nothing is read"), negative: .means("nothing is read"),
            huge: .means("until the other side ends")
        ) { (limit: Int) in
            let (connection, raw) = try socketPair()
            put("rest", to: raw)
            close(raw)
            try await connection.closeGently(limit: limit)
        }
        + Parameter.duration(
            "Connection.closeGently.timeout", zero: .means("nothing is waited for"),
            negative: .means("nothing is waited for"), huge: .means("until the other side ends")
        ) { timeout in
            let (connection, raw) = try socketPair()
            if timeout > .zero { close(raw) }
            defer { if timeout <= .zero { close(raw) } }
            try await connection.closeGently(timeout: timeout)
        }
}
