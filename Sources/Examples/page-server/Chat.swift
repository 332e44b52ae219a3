// The chat: what one page sends, all pages get, whichever worker serves them. A reload moves the pages to the next worker.

import Prefork
import PreforkHTTP
import Synchronization

struct Chat: Sendable {
    let store: SharedStore

    /// Opens the WebSocket of one page, which then is served until the page goes or the service ends.
    func join(_ request: HTTPRequest, in worker: Worker) throws -> HTTPResponse {
        // A subscription for each page: one that takes its messages slowly holds up no other page. It is made before the
        // page learns that it is connected, so that the page misses nothing from then on.
        let new = request.isResumed ? nil : try store.subscribe("chat", as: String.self, from: .now)
        return .webSocket(for: request) { socket in
            // A page that comes from another worker continues after the last message that it got there.
            let messages = try new ?? resume(socket)
            let sent = Mutex(messages.place)
            socket.handoverState = { sent.withLock { $0 } }
            defer { messages.unsubscribe() }
            async let sending: Void = Self.send(messages, to: socket) { place in sent.withLock { $0 = place } }
            for try await case .text(let text) in socket {
                try store.publish("chat", "\(text) (by worker \(worker.taskID))")
            }
            messages.unsubscribe()
            try await sending
        }
    }

    private func resume(_ socket: WebSocket) throws -> StoreMessages<String> {
        let place = try socket.resumedState(as: SubscriptionPlace.self)
        return try store.subscribe("chat", from: place.map { .after($0) } ?? .now)
    }

    private static func send(
        _ messages: StoreMessages<String>, to socket: WebSocket, _ isSent: (SubscriptionPlace) -> Void
    ) async throws {
        for try await message in messages {
            switch message {
            case .message(let text): try await socket.send(text)
            case .lagged(let count): try await socket.send("(\(count) messages were lost)")
            }
            isSent(messages.place)
        }
    }
}
