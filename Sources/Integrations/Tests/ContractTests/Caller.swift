// A client as the contract sees it.

import Testing

/// What a server is asked for: who it is, or something that takes time.
enum Question: String, Sendable {
    case who = "/"
    case slow = "/slow"
    /// lifecycle-server alone: its service group ends.
    case leave = "/leave"
    /// router-server and application-server alone: its handler crashes.
    case crash = "/crash"
}

/// One client: of a connection for each request, or of one that is kept.
protocol Caller: Sendable {
    /// - Returns: the answer's body.
    /// - Throws: when the request failed, from the client's point of view.
    func ask(_ question: Question) async throws -> String
    func close() async
}

/// How a server of the contract is started and called.
struct Subject: Sendable, CustomTestStringConvertible {
    let product: String
    var needsUpstream = false
    let makeCaller: @Sendable (_ port: UInt16, _ keepsConnection: Bool) async throws -> any Caller

    var testDescription: String { product }

    static func http(_ product: String, needsUpstream: Bool = false) -> Subject {
        Subject(product: product, needsUpstream: needsUpstream) { port, keeps in
            HTTPCaller(port: port, keepsConnection: keeps)
        }
    }
}
