// One client of the supervisor's own sockets.

import PreforkSystem

/// A connected client: what it has sent, what it is still to get, and until when.
final class ControlPeer {
    enum State {
        /// The server waits for a request, or has one in line to be read.
        case reading
        /// The answer to its request comes later.
        case waiting
        /// It takes its answer. Until it has, nothing more is read from it.
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
    /// It stands in line with unread input.
    var isInLine = false
    var watched: EpollEvents = .readable
    /// It has sent a whole request before.
    var hasAsked = false
    /// When it entered its present state. While it takes its answer: when it last took some of it.
    var since: MonotonicInstant
    /// When it is dropped. A client that waits for its answer is not.
    var deadline: MonotonicInstant

    init(number: UInt64, socket: consuming Descriptor, at now: MonotonicInstant, patience: Duration) {
        self.number = number
        self.socket = socket
        since = now
        deadline = now + patience
    }

    /// The order in which clients give way to a new one: first clients that have their last answer, then clients that
    /// have never sent anything, then clients that have sent a part of a request, then clients that are silent after an
    /// answer, and last clients that do not take their answer. A client that has just come (`ControlLimits.freshTime`)
    /// and has sent nothing ranks with clients that have sent a part. Otherwise it would always be the first to go in a
    /// crowd, before it could send.
    ///
    /// - Returns: nil for one that does not give way: it has sent a request, or may have.
    func expendability(at now: MonotonicInstant, _ limits: ControlLimits) -> Int? {
        switch state {
        case .lingering: 0
        case .reading: isInLine ? nil : !input.isEmpty ? 2 : hasAsked ? 3 : now - since < limits.freshTime ? 2 : 1
        case .writing: now - since > limits.stallTime ? 4 : nil
        case .waiting: nil
        }
    }

    /// The events that epoll watches for it. epoll reports hang-ups in any case (epoll_ctl(2)).
    var wanted: EpollEvents {
        switch state {
        case .reading, .lingering: hasEnded ? [] : .readable
        case .waiting: []
        case .writing: .writable
        }
    }
}
