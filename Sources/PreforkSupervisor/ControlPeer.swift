// One client of the supervisor's own sockets.

import PreforkSystem

/// A connected client: what it has sent, what it is still to get, and until when.
final class ControlPeer {
    enum State {
        /// A request is awaited, or one is in line to be looked at.
        case reading
        /// The answer to its request comes later.
        case waiting
        /// It takes its answer; until it has, nothing more is read from it.
        case writing
        /// It has got its last answer. What it still sends is thrown away, because a socket that is closed with bytes
        /// unread resets the connection, and the answer with it (RFC 9112, 9.6).
        case lingering
    }

    let number: UInt64
    let socket: Descriptor
    var state = State.reading
    var input: [UInt8] = []
    var output: [UInt8] = []
    var sent = 0
    /// It will send nothing more.
    var hasEnded = false
    var closesAfterAnswer = false
    /// It stands in line with input that was not looked at.
    var isInLine = false
    var watched: EpollEvents = .readable
    /// When it is given up; a client that waits for its answer is not.
    var deadline: MonotonicInstant

    init(number: UInt64, socket: consuming Descriptor, deadline: MonotonicInstant) {
        self.number = number
        self.socket = socket
        self.deadline = deadline
    }

    /// What epoll is to watch for it. Hang-ups are told in any case (epoll_ctl(2)).
    var wanted: EpollEvents {
        switch state {
        case .reading, .lingering: hasEnded ? [] : .readable
        case .waiting: []
        case .writing: .writable
        }
    }
}
