// A gRPC client: a channel that is kept, or a new one for each call.

import AskService
import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// What counts as failed: any status but OK, except for UNAVAILABLE, which is asked again, as a retry policy would do.
/// For a moment after it has read a GOAWAY the client of gRPC Swift 2.4 still opens calls on the connection that ends.
/// They are refused, by itself or by the server, and it does not retry them by itself, as other clients of gRPC do. The
/// contract checks that no such call had been begun: servers say how many calls they have begun, and each of those must
/// have been answered.
final class GRPCCaller: Caller {
    private let port: UInt16
    private let kept: (client: GRPCClient<HTTP2ClientTransport.Posix>, run: Task<Void, any Error>)?

    init(port: UInt16, keepsConnection: Bool) throws {
        self.port = port
        kept = keepsConnection ? try Self.connect(port) : nil
    }

    func ask(_ question: Question) async throws -> String {
        if let kept { return try await Self.ask(question, kept.client) }
        let (client, run) = try Self.connect(port)
        let answer = try await Self.ask(question, client)
        client.beginGracefulShutdown()
        try? await run.value
        return answer
    }

    func close() async {
        kept?.client.beginGracefulShutdown()
        try? await kept?.run.value
    }

    private static func connect(
        _ port: UInt16
    ) throws -> (client: GRPCClient<HTTP2ClientTransport.Posix>, run: Task<Void, any Error>) {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: Int(port)), transportSecurity: .plaintext)
        let client = GRPCClient(transport: transport)
        return (client, Task { try await client.runConnections() })
    }

    private static func ask(
        _ question: Question, _ client: GRPCClient<HTTP2ClientTransport.Posix>
    ) async throws -> String {
        // A connection that was accepted in the moment of the stop may end before its preface: the client tries again
        // in a second, and refuses calls until then unless they wait.
        var options = CallOptions.defaults
        options.waitForReady = true
        for attempt in 1... {
            do {
                return try await client.unary(
                    request: ClientRequest(message: question.rawValue), descriptor: AskService.ask,
                    serializer: TextCoding(), deserializer: TextCoding(), options: options
                ) { try $0.message }
            } catch let error as RPCError where error.code == .unavailable && attempt < 50 {
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        throw CallError(description: "never answered")
    }
}
