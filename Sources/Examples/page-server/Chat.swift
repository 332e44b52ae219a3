// The chat: what one page sends, all pages get, whichever worker serves them.

import Prefork
import PreforkHTTP

struct Chat: Sendable {
    let store: SharedStore

    /// Opens the WebSocket of one page, which then is served until the page goes or the worker ends.
    func join(_ request: HTTPRequest, in worker: Worker) throws -> HTTPResponse {
        // A subscription for each page: one that takes its messages slowly holds up no other page. It is made before the
        // page learns that it is connected, so that the page misses nothing from then on.
        let messages = try store.subscribe("chat", as: String.self, from: .now)
        return .webSocket(for: request) { socket in
            defer { messages.unsubscribe() }
            async let sending: Void = Self.send(messages, to: socket)
            for try await case .text(let text) in socket {
                try store.publish("chat", "\(text) (by worker \(worker.taskID))")
            }
            messages.unsubscribe()
            try await sending
        }
    }

    private static func send(_ messages: StoreMessages<String>, to socket: WebSocket) async throws {
        for try await message in messages {
            switch message {
            case .message(let text): try await socket.send(text)
            case .lagged(let count): try await socket.send("(\(count) messages were lost)")
            }
        }
    }
}
