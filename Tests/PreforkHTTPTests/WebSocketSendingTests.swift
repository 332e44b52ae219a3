// What is sent at once, and what waits for the answers to further messages.

import PreforkEventLoop
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct WebSocketSendingTests {
    @Test func answersToMessagesThatCameTogetherGoOutTogether() async throws {
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve() { socket in
            for try await message in socket {
                try await socket.send(message)
                notes.add(socket.output.count > 0 ? "waits" : "is sent")
            }
        } peer: { peer in
            try await peer.send((0..<5).map { "message \($0)" })
            for number in 0..<5 { #expect(try await peer.next() == .message(.text("message \(number)"))) }
            try await peer.close(.normal)
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
        #expect(notes.all == ["waits", "waits", "waits", "waits", "is sent"])
    }

    @Test func whatWaitsToBeSentGoesOutWhileTheHandlerDoesSomethingElse() async throws {
        let notes = WebSocketNotes()
        try await WebSocketFixture.serve() { socket in
            for try await message in socket {
                try await socket.send(message)
                while message == .text("one"), notes.all.isEmpty { try await EventLoop.sleep(for: .milliseconds(1)) }
            }
        } peer: { peer in
            try await peer.send(["one", "two"])
            #expect(try await peer.next() == .message(.text("one")))
            notes.add("one")
            #expect(try await peer.next() == .message(.text("two")))
            try await peer.close(.normal)
            mustHold(try await peer.rest() == [.close(.normal, reason: "")])
        }
    }

    @Test func whatWaitsToBeSentComesBeforeALargeMessageAndTheEnd() async throws {
        let large = [UInt8](repeating: 7, count: 3 << 20)
        try await WebSocketFixture.serve() { socket in
            var messages = socket.makeAsyncIterator()
            while let message = try await messages.next() {
                try await socket.send(message)
                if message == .text("one") { try await socket.send(large) }
                if message == .text("two") { return }
            }
        } peer: { peer in
            try await peer.send(["one", "two", "three"])
            #expect(try await peer.next() == .message(.text("one")))
            #expect(try await peer.next() == .message(.binary(large)))
            #expect(try await peer.next() == .message(.text("two")))
            #expect(try await peer.next() == .close(.normal, reason: ""))
            try await peer.close(.normal)
            #expect(try await peer.next() == nil)
        }
    }
}
