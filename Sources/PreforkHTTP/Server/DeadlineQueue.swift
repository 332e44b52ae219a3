// Deadlines of many connections, with one timer of the loop.

import PreforkEventLoop
import PreforkSystem

/// The connections that wait for one thing, all of them equally long: who came first is due first. A connection enters and
/// leaves in constant time, without a timer of its own and without a system call.
final class DeadlineQueue {
    /// A connection's place. It is in one queue at a time.
    struct Place {
        fileprivate var queue: Unmanaged<DeadlineQueue>?
        fileprivate var previous: Unmanaged<HTTPConnection>?
        fileprivate var next: Unmanaged<HTTPConnection>?
        fileprivate var since: Int64 = 0

        var isTaken: Bool { queue != nil }
    }

    private let loop: EventLoop
    private let timeout: Int64
    private let kind: HTTPConnection.Expiry
    // Proof of all unmanaged references: a connection is in a queue only while its `serve` runs, which keeps it alive, and
    // leaves the queue before it returns. The queue belongs to the server, which the connection holds.
    private var first: Unmanaged<HTTPConnection>?
    private var last: Unmanaged<HTTPConnection>?
    private var isTimed = false

    init(_ loop: EventLoop, _ timeout: Duration, _ kind: HTTPConnection.Expiry) {
        self.loop = loop
        self.timeout = timeout.saturatedNanoseconds
        self.kind = kind
    }

    /// The connection waits from now on.
    func append(_ connection: HTTPConnection) {
        let entry = Unmanaged.passUnretained(connection)
        connection.place = Place(
            queue: .passUnretained(self), previous: last, next: nil, since: MonotonicInstant.coarseNow.nanoseconds)
        if let last { last._withUnsafeGuaranteedRef { $0.place.next = entry } } else { first = entry }
        last = entry
        if !isTimed { setTimer() }
    }

    /// The connection waits no more, in whatever queue it is.
    @inline(__always)
    static func remove(_ connection: HTTPConnection) {
        connection.place.queue?._withUnsafeGuaranteedRef { $0.remove(connection) }
    }

    private func remove(_ connection: HTTPConnection) {
        let place = connection.place
        if let previous = place.previous {
            previous._withUnsafeGuaranteedRef { $0.place.next = place.next }
        } else {
            first = place.next
        }
        if let next = place.next {
            next._withUnsafeGuaranteedRef { $0.place.previous = place.previous }
        } else {
            last = place.previous
        }
        connection.place = Place()
    }

    /// The timer stays set when its connection leaves, because another one has usually come by the time it is due.
    private func setTimer() {
        guard let first else { return }
        isTimed = true
        let due = MonotonicInstant(nanoseconds: first._withUnsafeGuaranteedRef { $0.place.since }) + .nanoseconds(timeout)
        loop.call(after: due - .now) { [weak self] in self?.expire() }
    }

    private func expire() {
        isTimed = false
        let now = MonotonicInstant.now
        while let first {
            let connection = first.takeUnretainedValue()
            guard MonotonicInstant(nanoseconds: connection.place.since) + .nanoseconds(timeout) <= now else { break }
            remove(connection)
            connection.expire(kind)
        }
        setTimer()
    }
}
