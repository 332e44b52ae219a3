// The public parameters of WebSockets, for the table of this module (ParameterTableTests).

import PreforkEventLoop
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

enum WebSocketParameters {
    /// Parameters that need no row.
    static let reasons = [
        "WebSocketMessage": "any text and any bytes are a message",
    ]

    static let rows: [ParameterRow] = codes + calls + limits + times + origins

    private static let codes: [ParameterRow] = Parameter.unsigned(
        "WebSocketCloseCode.init.rawValue", zero: .means("a code that may not be sent"),
        huge: .means("a code that may not be sent")
    ) { (code: UInt16) in mustHold(!WebSocketCloseCode(rawValue: code).maySend) }

    /// Calls `body` with a socket whose peer reads until the end and answers the close frame.
    private static func withSocket(
        _ options: WebSocketOptions = WebSocketOptions(), _ body: @escaping @Sendable (WebSocket) async throws -> Void
    ) async throws {
        let problem = WebSocketProblem()
        try await WebSocketFixture.serve(options) { socket in
            do { try await body(socket) } catch { problem.error = error }
        } peer: { peer in
            while let event = try await peer.next() {
                if case .close = event { try? await peer.close(nil) }
            }
        }
        if let error = problem.error { throw error }
    }

    private static let calls: [ParameterRow] =
        Parameter.text(
            "WebSocket.close.reason", empty: .means("no reason"), huge: .refused("a close reason of"),
            other: .means("its UTF-8")
        ) { reason in try await withSocket { try await $0.close(reason: reason) } }
        + Parameter.text(
            "WebSocket.send.text", empty: .means("an empty message"), huge: .means("one message"),
            other: .means("its UTF-8")
        ) { text in try await withSocket { try await $0.send(text) } }
        + Parameter.list(
            "WebSocket.send.bytes", of: UInt8(7), empty: .means("an empty message"), huge: .means("one message")
        ) { bytes in try await withSocket { try await $0.send(bytes) } }
        + Parameter.list(
            "WebSocket.ping.payload", of: UInt8(7), empty: .means("an empty ping"), huge: .refused("a ping with")
        ) { bytes in try await withSocket { try await $0.ping(bytes) } }

    private static let limits: [ParameterRow] =
        Parameter.number(
            "WebSocketOptions.init.maxMessageSize", zero: .means("empty messages only"),
            negative: .means("empty messages only"), huge: .means("no limit")
        ) { (size: Int) in
            var conversation = WebSocketConversation()
            conversation.add(.binary, [])
            conversation.add(.binary, [1])
            mustHold(conversation.read(maxSize: size).events.count == (size > 0 ? 2 : 1))
        }
        + Parameter.number(
            "WebSocketOptions.init.maxFragments", zero: .means("one"), negative: .means("one"), huge: .means("no limit")
        ) { (count: Int) in
            var conversation = WebSocketConversation()
            conversation.add(.binary, [1])
            conversation.add(.binary, isFinal: false, [1])
            conversation.add(.continuation, [1])
            mustHold(conversation.read(maxFragments: count).events.count == (count > 1 ? 2 : 1))
        }
        + Parameter.list(
            "WebSocketOptions.init.subprotocols", of: "chat", empty: .means("none is selected"),
            huge: .means("the first that is offered")
        ) { protocols in mustHold(selected(protocols) == protocols.first) }
        + Parameter.text(
            "WebSocketOptions.init.subprotocols", empty: .means("never selected"), huge: .means("a token"),
            nul: .means("never selected"), controls: .means("never selected"), dots: .means("never selected"),
            foreign: .means("never selected")
        ) { name in mustHold(selected([name]) == nil) }

    private static func selected(_ protocols: [String]) -> String? {
        let fields = [
            "Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "chat",
        ]
        let answer = WebSocketHandshake.answer(
            to: .init(method: "GET", isHTTP11: true, hasBody: false) { fields[$0].map { [$0] } ?? [] },
            WebSocketOptions(subprotocols: protocols))
        guard case .accepted(_, let subprotocol) = answer else { return "refused" }
        return subprotocol
    }

    private static let timeOptions: [(String, String, @Sendable (inout WebSocketOptions, Duration) -> Void)] = [
        ("pingInterval", "no pings", { $0.pingInterval = $1 }),
        ("pongTimeout", "answers are not waited for", { $0.pongTimeout = $1 }),
        ("sendTimeout", "no limit", { $0.sendTimeout = $1 }),
        ("closeTimeout", "the answer is not waited for", { $0.closeTimeout = $1 }),
    ]

    private static let times: [ParameterRow] = timeOptions.flatMap { name, meaning, set in
        Parameter.duration(
            "WebSocketOptions.init.\(name)", zero: .means(meaning), negative: .means(meaning), huge: .means("never")
        ) { time in
            var options = WebSocketOptions()
            set(&options, time)
            try await withSocket(options) { try await $0.send("x") }
        }
    }

    private static let origins: [ParameterRow] =
        Parameter.list(
            "WebSocketOrigins.only.origins", of: "https://a.com", empty: .means("no page"), huge: .means("these")
        ) { mustHold(WebSocketOrigins.only($0).allow("https://a.com", host: nil) == !$0.isEmpty) }
        + Parameter.text(
            "WebSocketOrigins.only.origins", empty: .means("no page"), huge: .means("no page"), other: .means("no page")
        ) { mustHold(!WebSocketOrigins.only([$0]).allow("https://a.com", host: nil)) }
}

/// What a handler has thrown.
private final class WebSocketProblem: @unchecked Sendable {
    // Sendable: written on the test's loop, and read after it has ended.
    var error: (any Error)?
}
