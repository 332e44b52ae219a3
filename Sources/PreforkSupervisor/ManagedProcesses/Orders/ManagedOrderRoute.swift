// The route of a control code from this process to its manager.

import PreforkSystem
import Synchronization

/// Codes for one manager's targets, from threads of its own process and from its descendants.
final class ControlInbox: Sendable {
    /// More are refused until the manager's next turn.
    static let most = 256

    struct Received {
        let packet: ControlPacket
        /// It was sent by this process itself.
        let isOwn: Bool
    }

    let manager: UInt32
    let process = ForkCount.current
    /// Wakes the manager, which watches it edge-triggered. Supervised children do not keep it.
    let button: EventCounter
    /// For processes that the program has forked by itself and not as supervised children.
    let ring: ManagedOrderRing
    private let received = Mutex<[Received]>([])

    init(manager: UInt32, ring: ManagedOrderRing) throws(SystemError) {
        self.manager = manager
        self.ring = ring
        button = try EventCounter()
    }

    /// - Returns: false when too many wait.
    func put(_ packet: ControlPacket, isOwn: Bool) -> Bool {
        let isPut = received.withLock { received in
            if received.count >= Self.most { return false }
            received.append(Received(packet: packet, isOwn: isOwn))
            return true
        }
        if isPut { button.signal() }
        return isPut
    }

    func takeAll() -> [Received] {
        received.withLock { received in
            defer { received = [] }
            return received
        }
    }
}

/// The managers of this process, and the line to the supervisor that has forked it.
///
/// A code for a manager of this process goes to its inbox. Any other goes up by the ring in this process's line of the
/// scoreboard, to the supervisor, which does the same: so it reaches a manager any number of processes above.
enum ManagedOrderRoute {
    /// How a supervised child sends.
    struct Sender {
        let ring: ManagedOrderRing
        let doorbell: Int32
        /// Reads the end when the supervisor is gone.
        let lifeline: Int32
        let orders: SupervisorOrders
        /// The supervisor's image that knows this process and its managers.
        let image: UInt64
        let process = ForkCount.current

        init(scoreboard: Scoreboard, line: Int, doorbell: Int32, lifeline: Int32) {
            ring = scoreboard.controls(line: line)
            orders = scoreboard.orders
            image = scoreboard.orders.image
            self.doorbell = doorbell
            self.lifeline = lifeline
        }

        func send(_ packet: ControlPacket) throws(SystemError) {
            let object = "control line"
            if orders.image != image { throw SystemError("send", .brokenPipe, on: object) }
            if try Polling.waitUntilReadable([lifeline], until: .now) {
                throw SystemError("send", .brokenPipe, on: object)
            }
            guard ring.put(packet.word) else { throw SystemError("send", .wouldBlock, on: object) }
            Doorbell.ring(doorbell)
        }
    }

    private struct State {
        var inboxes: [UInt32: ControlInbox] = [:]
        var sender: Sender?
    }

    private static let state = Mutex(State())

    static func open(_ inbox: ControlInbox) { state.withLock { $0.inboxes[inbox.manager] = inbox } }

    static func close(_ manager: UInt32) { state.withLock { _ = $0.inboxes.removeValue(forKey: manager) } }

    /// In a supervised child: from now on codes go by its own line.
    static func enter(_ sender: Sender) { state.withLock { $0.sender = sender } }

    /// - Throws: EAGAIN, EPIPE.
    static func send(_ packet: ControlPacket) throws(SystemError) {
        try send(packet, isOwn: true)
    }

    /// In a supervisor: a word that one of its children has sent, which may be anything.
    ///
    /// - Returns: false when it is no packet, or one that cannot be delivered.
    static func deliver(_ word: UInt64) -> Bool {
        guard let packet = ControlPacket(word: word) else { return false }
        do throws(SystemError) {
            try send(packet, isOwn: false)
            return true
        } catch {
            return false
        }
    }

    private static func send(_ packet: ControlPacket, isOwn: Bool) throws(SystemError) {
        let (inbox, sender) = state.withLock { ($0.inboxes[packet.manager], $0.sender) }
        if let inbox, inbox.process == ForkCount.current {
            if !inbox.put(packet, isOwn: isOwn) { throw SystemError("send", .wouldBlock, on: "control line") }
        } else if let inbox, inbox.process >= sender?.process ?? 0 {
            // The program's own fork of the manager's process: no supervisor knows this process.
            guard inbox.ring.put(packet.word) else { throw SystemError("send", .wouldBlock, on: "control line") }
            inbox.button.signal()
        } else if let sender {
            try sender.send(packet)
        } else {
            throw SystemError("send", .brokenPipe, on: "control line")
        }
    }
}
