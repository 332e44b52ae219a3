// The sender's side of a link, without side effects.

/// Which connections are offered and have no answer yet.
///
/// | phase         | leaves it by                                            |
/// |---------------|---------------------------------------------------------|
/// | awaitingHello | `hello` (open), the deadline or the link's end (over)   |
/// | open          | the deadline, the link's end, a wrong answer (over)     |
/// | over          | -                                                       |
struct HandoverSender: Equatable {
    enum Phase: Equatable {
        case awaitingHello
        case open
        case over
    }

    /// What an answer means.
    enum News: Equatable {
        /// Connections may be offered from now on.
        case hello
        case taken(UInt64)
        case refused(UInt64, HandoverRefusal)
        /// The other side does not keep to the protocol.
        case violation
    }

    /// So many are without an answer at most: the kernel counts descriptors that are in sockets against the user's
    /// RLIMIT_NOFILE (ETOOMANYREFS of unix(7)), and whatever waits in the socket is not served.
    static let mostUnanswered = 64

    private(set) var phase = Phase.awaitingHello
    private(set) var unanswered: Set<UInt64> = []
    private var lastNumber: UInt64 = 0
    /// How many may still be offered.
    private(set) var left: Int

    /// - Parameter most: how many may move.
    init(most: Int = .max) { left = most }

    /// How many may be offered now.
    var room: Int { phase == .open ? min(left, Self.mostUnanswered - unanswered.count) : 0 }

    /// The number of the next offer.
    var nextNumber: UInt64 { lastNumber + 1 }

    /// The next one was sent.
    mutating func offered() {
        lastNumber += 1
        unanswered.insert(lastNumber)
        left -= 1
    }

    mutating func received(_ packet: HandoverPacket) -> News {
        switch packet.kind {
        case .hello where phase == .awaitingHello:
            phase = .open
            return .hello
        case .taken:
            if unanswered.remove(packet.number) != nil { return .taken(packet.number) }
        case .refused:
            guard let reason = HandoverRefusal(rawValue: packet.detail), unanswered.remove(packet.number) != nil
            else { break }
            // Another one may move in its place.
            left += left == .max ? 0 : 1
            return .refused(packet.number, reason)
        case .hello, .offer: break
        }
        return .violation
    }

    /// Nothing more comes, and nothing more is offered.
    ///
    /// - Returns: those that come back, in the order of their offers.
    mutating func end() -> [UInt64] {
        phase = .over
        defer { unanswered = [] }
        return unanswered.sorted()
    }
}
