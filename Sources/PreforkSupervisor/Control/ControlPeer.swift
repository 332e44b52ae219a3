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
    /// It has sent a whole request before.
    var hasAsked = false
    /// When it came to the state that it is in; while it takes its answer, when it last took some of it.
    var since: MonotonicInstant
    /// When it is given up; a client that waits for its answer is not.
    var deadline: MonotonicInstant

    init(number: UInt64, socket: consuming Descriptor, at now: MonotonicInstant, patience: Duration) {
        self.number = number
        self.socket = socket
        since = now
        deadline = now + patience
    }

    /// In which order clients give way to one who comes: first those that have their last answer, then those that have
    /// never sent anything, those that have sent a part of a request, those that are silent after an answer, and last
    /// those that do not take theirs. One that has just come (`ControlLimits.freshTime`) and has sent nothing stands with
    /// those that have sent a part: in a crowd of these it would otherwise always be the first to go, before it could
    /// send.
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

    /// What epoll is to watch for it. Hang-ups are told in any case (epoll_ctl(2)).
    var wanted: EpollEvents {
        switch state {
        case .reading, .lingering: hasEnded ? [] : .readable
        case .waiting: []
        case .writing: .writable
        }
    }
}
