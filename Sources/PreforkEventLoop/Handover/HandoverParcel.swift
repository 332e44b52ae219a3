// What a protocol's server gives for a connection that moves, and what the next one gets.

package import PreforkSystem

/// What the server of a protocol packs when its connection moves.
package struct HandoverParcel: Sendable {
    /// In a form that only the server's own `ConnectionResumption` knows.
    package var state: [UInt8]
    /// What this process has not sent yet. The successor sends it before anything else.
    package var unsent: [UInt8]

    package init(state: [UInt8] = [], unsent: [UInt8] = []) {
        self.state = state
        self.unsent = unsent
    }
}

/// A connection that another process offers, before it is taken.
package struct HandedState: Sendable {
    /// Of the state.
    package let version: UInt32
    package let state: [UInt8]
    package let peer: SocketAddress
    /// How many bytes have arrived and were not read.
    package let unreadCount: Int
    /// Whether its peer has sent anything yet.
    package let hasReceived: Bool
    /// How often it has moved before.
    package let moves: Int
    /// When the first process accepted it.
    package let accepted: MonotonicInstant
}

/// How a server goes on with connections that another process has had.
package struct ConnectionResumption: Sendable {
    package typealias Handler = @Sendable (Connection) async throws -> Void

    /// Of the protocol: at most 64 bytes. Connections move between servers of the same name alone.
    package let name: String
    /// Versions of the state that it reads. It writes the last one.
    package let versions: ClosedRange<UInt32>
    /// Whether a connection moves that has no packer (`Connection.onHandover`) and no `handoverState`.
    package let movesWithoutState: Bool
    /// Called on the loop before the connection is taken. It decodes the state, and throws if it cannot be used. Then the
    /// other process keeps the connection and ends it in order. What it returns serves the connection, whose unsent bytes
    /// are out by then.
    package let prepare: @Sendable (HandedState) throws -> Handler

    package init(
        name: String, versions: ClosedRange<UInt32>, movesWithoutState: Bool = false,
        prepare: @escaping @Sendable (HandedState) throws -> Handler
    ) {
        self.name = name
        self.versions = versions
        self.movesWithoutState = movesWithoutState
        self.prepare = prepare
    }
}

/// The points of a move at which tests end one of the two processes. They are numbered as on the page "How Connections
/// Move".
package enum HandoverStep: Int, CaseIterable, Sendable {
    case helloSent = 2
    case drainBegan = 3
    case packed = 4
    case offered = 5
    case received = 6
    case takenSent = 7
    case takenRead = 8
    case resumed = 9
    case ended = 10
    case refusedSent = 17
    case refusedRead = 18
}
