// Conversations over real sockets: messages, control frames, and all the ways to end.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct WebSocketTests {
    /// Every time limit is far away, but for the ones that a test names.
    private static let patient = WebSocketOptions(
        maxMessageSize: 16 << 20, pingInterval: .seconds(1_000), pongTimeout: .seconds(1_000),
        closeTimeout: .seconds(1_000), sendTimeout: .seconds(1_000))

    private static func options(_ change: (inout WebSocketOptions) -> Void) -> WebSocketOptions {
        var options = patient
        change(&options)
        return options
    }

    @Test func messagesOfEverySizeComeBack() async throws {
        try await WebSocketFixture.serve(Self.patient, WebSocketFixture.echo) { peer in
            for count in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 3 << 20] {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                async let echo = peer.next()
                try await peer.send(.binary, bytes)
                #expect(try await echo == .message(.binary(bytes)))
            }
            try await peer.send("grüße 🐟")
            #expect(try await peer.next() == .message(.text("grüße 🐟")))
            try await peer.close(.normal)
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
    }

    @Test func whenTheHandlerReturnsTheSocketIsClosedInOrder() async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            try await socket.send("only this")
        } peer: { peer in
            #expect(try await peer.next() == .message(.text("only this")))
            #expect(try await peer.next() == .close(.normal, reason: ""))
            // Messages that were on their way are discarded.
            try await peer.send("too late")
            try await peer.close(.normal)
            #expect(try await peer.next() == nil)
        }
    }

    @Test func whenTheHandlerThrowsTheCodeIs1011AndTheErrorTheServers() async throws {
        await #expect(throws: WebSocketFixture.Ends(text: "own")) {
            try await WebSocketFixture.serve(Self.patient) { _ in
                throw WebSocketFixture.Ends(text: "own")
            } peer: { peer in
                #expect(try await peer.next() == .close(.internalError, reason: ""))
                try await peer.close(.internalError)
                #expect(try await peer.next() == nil)
            }
        }
    }

    @Test(arguments: [1000, 1001, nil]) func aPeerThatIsDoneEndsTheMessages(code: UInt16?) async throws {
        let code = code.map { WebSocketCloseCode(rawValue: $0) }
        let reason = code == nil ? "" : "bye"
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve(Self.patient) { socket in
            for try await _ in socket {}
            notes.add("\(socket.closeCode?.rawValue ?? 0)")
            await #expect(throws: WebSocketError(.closedByPeer(code ?? .noStatus, reason: reason))) {
                try await socket.send("x")
            }
            try await socket.close()
        } peer: { peer in
            try await peer.close(code, "bye")
            mustHold(try await peer.rest() == [.close(code ?? .noStatus, reason: "")])
        }
        #expect(notes.all == ["\((code ?? .noStatus).rawValue)"])
    }

    @Test func aPeerThatClosesWithAnotherCodeIsAnError() async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            await #expect(throws: WebSocketError(.closedByPeer(.init(rawValue: 4001), reason: "no"))) {
                for try await _ in socket {}
            }
        } peer: { peer in
            try await peer.close(.init(rawValue: 4001), "no")
            mustHold(try await peer.rest() == [.close(.init(rawValue: 4001), reason: "")])
        }
    }

    @Test func aConnectionThatIsLostIsAnErrorOfTheHandlerAlone() async throws {
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve(Self.patient) { socket in
            do {
                for try await _ in socket {}
            } catch let error as WebSocketError {
                notes.add("\(error.code)")
                // The server says nothing of it: this handler lets it pass.
                throw error
            }
        } peer: { peer in
            try await peer.send("x")
            peer.connection.close()
        }
        #expect(notes.all == ["lost"])
    }

    @Test(arguments: [
        ([0x81, 0x00], WebSocketCloseCode.protocolError), ([0x91, 0x80, 1, 2, 3, 4], .protocolError),
        ([0x83, 0x80, 1, 2, 3, 4], .protocolError), ([0x09, 0x80, 1, 2, 3, 4], .protocolError),
        ([0x81, 0x81, 0, 0, 0, 0, 0xFF], .invalidPayload),
        ([0x82, 0xFF, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0], .messageTooBig),
        ([0xC1, 0x80, 0, 0, 0, 0], .protocolError),
    ] as [([UInt8], WebSocketCloseCode)])
    func whoBreaksTheProtocolIsToldSoAndReadsIt(bytes: [UInt8], code: WebSocketCloseCode) async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            do {
                for try await message in socket { try await socket.send(message) }
                Issue.record("no error")
            } catch let error as WebSocketError {
                guard case .violation(code, _) = error.code else {
                    Issue.record("\(error)")
                    return
                }
                await #expect(throws: error) { try await socket.send("x") }
                throw error
            }
        } peer: { peer in
            try await peer.send("before")
            try await peer.connection.writer.write(bytes)
            // What it goes on to send must not make the kernel throw the close frame away.
            try await peer.connection.writer.write([UInt8](repeating: 0, count: 100_000))
            #expect(try await peer.next() == .message(.text("before")))
            guard case .close(code, _) = try await peer.next() else {
                Issue.record("no close frame with \(code)")
                return
            }
            try await peer.connection.writer.finish()
            #expect(try await peer.next() == nil)
        }
    }

    @Test func tooManyFragmentsAreClosedWith1008() async throws {
        try await WebSocketFixture.serve(Self.options { $0.maxFragments = 2 }, WebSocketFixture.echo) { peer in
            try await peer.send(.text, isFinal: false, [])
            try await peer.send(.continuation, [])
            #expect(try await peer.next() == .message(.text("")))
            for place in 0..<3 { try await peer.send(place == 0 ? .text : .continuation, isFinal: place == 2, []) }
            guard case .close(.policyViolation, _) = try await peer.next() else {
                Issue.record("no close frame")
                return
            }
        }
    }

    @Test func pingsAreAnsweredWithinMessagesAndWhileTheHandlerOnlySends() async throws {
        try await WebSocketFixture.serve(Self.patient, WebSocketFixture.echo) { peer in
            try await peer.send(.text, isFinal: false, [97])
            try await peer.send(.ping, [1, 2])
            #expect(try await peer.next() == .pong([1, 2]))
            try await peer.send(.continuation, [98])
            #expect(try await peer.next() == .message(.text("ab")))
            try await peer.close(.normal)
            _ = try await peer.rest()
        }
        // Sends until the peer has closed, and never waits for a message.
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve(Self.patient) { socket in
            do {
                while true {
                    try await socket.send("tick")
                    try await EventLoop.sleep(for: .milliseconds(1))
                }
            } catch let error as WebSocketError {
                notes.add("\(error.code)")
            }
        } peer: { peer in
            try await peer.send(.ping, [7])
            var event = try await peer.next()
            while event == .message(.text("tick")) { event = try await peer.next() }
            #expect(event == .pong([7]))
            try await peer.close(.goingAway)
            while event != nil { event = try await peer.next() }
        }
        #expect(notes.all == ["closedByPeer(1001, reason: \"\")"])
    }

    @Test func aMessageThatWasReadAheadIsNotLost() async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            for number in 0..<5 { try await socket.send("\(number)") }
            var taken: [WebSocketMessage] = []
            for try await message in socket {
                taken.append(message)
                if taken.count == 20 { break }
                if taken.count % 5 == 0 { for number in 0..<3 { try await socket.send("\(number)") } }
            }
            #expect(taken == (0..<20).map { .text("message \($0)") })
        } peer: { peer in
            for number in 0..<20 { try await peer.send("message \(number)") }
            while case .message = try await peer.next() {}
            try await peer.close(.normal)
            #expect(try await peer.next() == nil)
        }
    }

    @Test func aCancelledWaitLosesNoMessage() async throws {
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve(Self.patient) { socket in
            await #expect(throws: TimeoutError.self) {
                try await withTimeout(.milliseconds(1)) {
                    var iterator = socket.makeAsyncIterator()
                    return try await iterator.next()
                }
            }
            notes.add("timed out")
            for try await message in socket { try await socket.send(message) }
        } peer: { peer in
            try await peer.send(.text, isFinal: false, [97])
            try await eventually("the wait was cancelled") { !notes.all.isEmpty }
            try await peer.send(.continuation, [98])
            #expect(try await peer.next() == .message(.text("ab")))
            try await peer.close(.normal)
            _ = try await peer.rest()
        }
    }

    @Test func oneTaskTakesMessagesAndManySend() async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        for _ in 0..<20 { try await socket.send([UInt8](repeating: UInt8(number), count: 50_000)) }
                    }
                }
                group.addTask {
                    var iterator = socket.makeAsyncIterator()
                    _ = try await iterator.next()
                }
                group.addTask {
                    var iterator = socket.makeAsyncIterator()
                    _ = try await iterator.next()
                }
                var refused = 0
                while let result = await group.nextResult() {
                    if case .failure(let error) = result {
                        #expect(error as? WebSocketError == WebSocketError(.readInProgress))
                        refused += 1
                    }
                }
                #expect(refused == 1)
            }
        } peer: { peer in
            for _ in 0..<160 {
                guard case .message(.binary(let bytes)) = try await peer.next() else {
                    Issue.record("no message")
                    return
                }
                #expect(bytes.count == 50_000 && bytes.allSatisfy { $0 == bytes[0] })
            }
            try await peer.send("go")
            try await peer.close(.normal)
            _ = try await peer.rest()
        }
    }

    @Test func aSocketIsUsedFromOtherThreads() async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            try await Task(executorPreference: globalConcurrentExecutor) {
                for try await message in socket { try await socket.send(message) }
            }.value
        } peer: { peer in
            for number in 0..<50 {
                try await peer.send("\(number)")
                #expect(try await peer.next() == .message(.text("\(number)")))
            }
            try await peer.close(.normal)
            _ = try await peer.rest()
        }
    }

    /// The handler takes nothing: the peer's writes stand still, and what was sent is not lost.
    @Test func aHandlerThatTakesNothingSlowsThePeerDown() async throws {
        let total = 200
        let notes = WebSocketNotes()
        let sent = WebSocketNotes()
        try await WebSocketFixture.serve(Self.patient) { socket in
            try await eventually("some were sent") { sent.all.count >= 2 }
            // The sockets' buffers hold a few hundred KiB, and this is many turns of the loop.
            for _ in 0..<200 { try await EventLoop.sleep(for: .zero) }
            #expect(sent.all.count < total)
            for try await message in socket {
                guard case .binary(let bytes) = message else { continue }
                notes.add("\(bytes[0])")
            }
        } peer: { peer in
            for number in 0..<total {
                try await peer.send(.binary, [UInt8](repeating: UInt8(number), count: 32 << 10))
                sent.add("")
            }
            try await peer.close(.normal)
            _ = try await peer.rest()
        }
        #expect(notes.all == (0..<total).map { "\($0)" })
    }

    @Test func badArgumentsAreRefusedAndSendNothing() async throws {
        try await WebSocketFixture.serve(Self.patient) { socket in
            for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, .max] as [UInt16] {
                await #expect(throws: WebSocketError(.badArgument("close code \(code)"))) {
                    try await socket.close(code: .init(rawValue: code))
                }
            }
            await #expect(throws: WebSocketError(.badArgument("a close reason of 124 bytes"))) {
                try await socket.close(reason: String(repeating: "é", count: 62))
            }
            await #expect(throws: WebSocketError(.badArgument("a ping with 126 bytes"))) {
                try await socket.ping([UInt8](repeating: 1, count: 126))
            }
            try await socket.ping([UInt8](repeating: 1, count: 125))
            try await socket.close(code: .init(rawValue: 4999), reason: String(repeating: "x", count: 123))
            await #expect(throws: WebSocketError(.closed)) { try await socket.send("x") }
            try await socket.close(code: .goingAway)
            for try await _ in socket { Issue.record("a message after closing") }
        } peer: { peer in
            try await peer.send("discarded")
            #expect(try await peer.next() == .ping([UInt8](repeating: 1, count: 125)))
            let reason = String(repeating: "x", count: 123)
            #expect(try await peer.next() == .close(.init(rawValue: 4999), reason: reason))
            try await peer.send("discarded, too")
            try await peer.close(.init(rawValue: 4999))
            #expect(try await peer.next() == nil)
        }
    }
}

// Times.
extension WebSocketTests {
    @Test func aSilentPeerGetsPingsAndIsKeptWhileItAnswers() async throws {
        try await WebSocketFixture.serve(Self.options { $0.pingInterval = .milliseconds(2) }, WebSocketFixture.echo) { peer in
            for _ in 0..<5 {
                guard case .ping(let payload) = try await peer.next() else {
                    Issue.record("no ping")
                    return
                }
                try await peer.send(.pong, payload)
            }
            try await peer.send("still here")
            while let event = try await peer.next(), event != .message(.text("still here")) {}
            try await peer.close(.normal)
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
    }

    @Test func aPeerThatAnswersNoPingIsDropped() async throws {
        let notes = WebSocketNotes()
        let options = Self.options {
            $0.pingInterval = .milliseconds(2)
            $0.pongTimeout = .milliseconds(5)
        }
        // Once while the handler waits, once while it does something else.
        for waits in [true, false] {
            try await WebSocketFixture.serve(options) { socket in
                do {
                    if waits {
                        for try await _ in socket {}
                    } else {
                        try await eventually("it is over") { if case .over = socket.phase { true } else { false } }
                        try await socket.send("x")
                    }
                } catch let error as WebSocketError {
                    notes.add("\(error.code)")
                }
            } peer: { peer in
                mustHold(try await peer.rest() == [])
            }
        }
        #expect(notes.all == ["timedOut", "timedOut"])
    }

    /// The answer may lie behind a message that was not taken.
    @Test func aHandlerThatTakesNothingIsNotTakenForADeadPeer() async throws {
        let options = Self.options {
            $0.pingInterval = .milliseconds(1)
            $0.pongTimeout = .milliseconds(1)
        }
        try await WebSocketFixture.serve(options) { socket in
            try await eventually("a message waits") { !socket.canHear }
            for _ in 0..<50 { try await EventLoop.sleep(for: .milliseconds(1)) }
            for try await message in socket { try await socket.send(message) }
        } peer: { peer in
            try await peer.send("first")
            try await peer.send("second")
            // It answers no ping until it is asked for them.
            var events: [WebSocketEvent] = []
            while let event = try await peer.next() {
                if case .ping(let payload) = event { try await peer.send(.pong, payload) } else { events.append(event) }
                if events.count == 2 { break }
            }
            #expect(events == [.message(.text("first")), .message(.text("second"))])
            try await peer.close(.normal)
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
    }

    @Test func aPeerThatTakesNothingIsDropped() async throws {
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve(Self.options { $0.sendTimeout = .milliseconds(10) }) { socket in
            do {
                while true { try await socket.send([UInt8](repeating: 1, count: 100_000)) }
            } catch let error as WebSocketError {
                notes.add("\(error.code)")
            }
        } peer: { _ in
            try await eventually("the server gave it up") { !notes.all.isEmpty }
        }
        #expect(notes.all == ["timedOut"])
    }

    @Test func aPeerThatIsSlowButReadsIsKept() async throws {
        try await WebSocketFixture.serve(Self.options { $0.sendTimeout = .seconds(2) }) { socket in
            try await socket.send([UInt8](repeating: 1, count: 1 << 20))
        } peer: { peer in
            // One write of more than the limit's time, with progress all the while.
            var received = 0
            while received < 1 << 20, let bytes = try await peer.connection.reader.read(atMost: 16 << 10) {
                received += bytes.count
                try await EventLoop.sleep(for: .milliseconds(40))
            }
            #expect(received >= 1 << 20)
        }
    }

    @Test(arguments: [Duration.milliseconds(2), .zero, .seconds(-1)])
    func aPeerThatDoesNotAnswerTheCloseFrameIsLeft(timeout: Duration) async throws {
        try await WebSocketFixture.serve(Self.options { $0.closeTimeout = timeout }) { _ in
        } peer: { peer in
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
        // While the handler waits for something else.
        try await WebSocketFixture.serve(Self.options { $0.closeTimeout = timeout }) { socket in
            try await socket.close()
            try await eventually("it is over") { if case .over = socket.phase { true } else { false } }
        } peer: { peer in
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
    }
}

// The server's end.
extension WebSocketTests {
    /// Runs a server on a listener while `body` connects to it.
    private func withServer(
        _ handler: @escaping @Sendable (WebSocket) async throws -> Void,
        _ body: @escaping @Sendable (EventLoop, SocketAddress) async throws -> Void
    ) async throws {
        try await WebSocketFixture.onLoop {
            let loop = EventLoop.current!
            let listener = try Listener(.tcp("127.0.0.1", 0))
            defer { listener.close() }
            async let serving: Void = listener.serve(
                report: { Issue.record("\($0)") },
                { connection in
                    // In the place of the handshake.
                    guard try await connection.reader.read(atMost: 1) != nil else { return }
                    try await WebSocket.serve(connection, Self.patient, handler)
                })
            try await body(loop, listener.address)
            loop.stopRequest.request()
            try await serving
        }
    }

    private static func connect(_ address: SocketAddress) async throws -> WebSocketPeer {
        let peer = WebSocketPeer(try await Connection.connect(to: address))
        try await peer.connection.writer.write("x")
        return peer
    }

    @Test func aWorkerThatDrainsClosesWith1001() async throws {
        let notes = WebSocketNotes()
        try await withServer { socket in
            for try await message in socket { try await socket.send(message) }
            notes.add("ended")
        } _: { loop, address in
            let peers = [try await Self.connect(address), try await Self.connect(address)]
            for peer in peers {
                try await peer.send("x")
                #expect(try await peer.next() == .message(.text("x")))
            }
            loop.stopRequest.request()
            for peer in peers {
                #expect(try await peer.next() == .close(.goingAway, reason: ""))
                try await peer.send("discarded")
                try await peer.close(.goingAway)
                #expect(try await peer.next() == nil)
                peer.connection.close()
            }
        }
        #expect(notes.all == ["ended", "ended"])
    }

    @Test func aHandlerThatOnlySendsEndsWhenTheWorkerDrains() async throws {
        try await withServer { socket in
            while true {
                try await socket.send("tick")
                try await EventLoop.sleep(for: .milliseconds(1))
            }
        } _: { loop, address in
            let peer = try await Self.connect(address)
            #expect(try await peer.next() == .message(.text("tick")))
            loop.stopRequest.request()
            while case .message = try await peer.next() {}
            try await peer.close(.goingAway)
            #expect(try await peer.next() == nil)
            peer.connection.close()
        }
    }

    @Test func aHandlerThatIsCancelledSaysGoodbye() async throws {
        try await WebSocketFixture.onLoop {
            let (server, peer) = try WebSocketFixture.pair()
            let notes = WebSocketNotes()
            let task = Task(executorPreference: EventLoop.current) {
                defer { server.close() }
                try await WebSocket.serve(server, Self.patient) { socket in
                    notes.add("runs")
                    for try await _ in socket {}
                }
            }
            try await eventually("it runs") { !notes.all.isEmpty }
            task.cancel()
            mustHold(try await peer.rest() == [.close(.goingAway, reason: "")])
            await #expect(throws: CancellationError.self) { try await task.value }
            peer.connection.close()
        }
    }

    @Test func nothingIsLeftInTheLoopAfterAThousandSockets() async throws {
        try await WebSocketFixture.onLoop {
            for round in 0..<1_000 {
                let (server, peer) = try WebSocketFixture.pair()
                async let serving: Void = {
                    defer { server.close() }
                    try await WebSocket.serve(server, Self.patient, WebSocketFixture.echo)
                }()
                try await peer.send("x")
                _ = try await peer.next()
                if round % 2 == 0 { try await peer.close(.normal) }
                peer.connection.close()
                try await serving
            }
            let open = entries("/proc/self/fd").count
            #expect(open < 900)
        }
    }
}
