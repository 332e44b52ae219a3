// A descriptor in the loop's epoll, and the table that finds it again when it has events.

package import PreforkSystem

/// A descriptor that a loop watches. What to do about an event is its owner's closure to say, or a stream's readiness.
package final class Watch {
    package let fd: Int32
    fileprivate(set) var word: UInt64 = 0
    private let stream: Readiness?
    private let onEvents: ((EpollEvents) -> Void)?

    package init(_ fd: Int32, onEvents: @escaping (EpollEvents) -> Void) {
        self.fd = fd
        self.onEvents = onEvents
        stream = nil
    }

    init(_ fd: Int32, _ stream: Readiness) {
        self.fd = fd
        self.stream = stream
        onEvents = nil
    }

    @inline(__always)
    func handle(_ events: EpollEvents) {
        if let stream { stream.handle(events) } else { onEvents?(events) }
    }
}

/// All watches of a loop, found by the word that epoll gives back: slot and serial number. An event of a descriptor
/// that was closed a moment ago thus never reaches the descriptor that took its place.
struct WatchTable {
    static let wakeUpWord = UInt64.max

    private var slots: [Watch?] = []
    private var free: [Int] = []
    private var serial: UInt64 = 0

    subscript(word: UInt64) -> Watch? {
        let slot = Int(truncatingIfNeeded: word & 0xFFFF_FFFF)
        guard slot < slots.count, let watch = slots[slot], watch.word == word else { return nil }
        return watch
    }

    var count: Int { slots.count - free.count }

    mutating func insert(_ watch: Watch) {
        serial = (serial + 1) & 0x7FFF_FFFF
        if let slot = free.popLast() {
            slots[slot] = watch
            watch.word = serial << 32 | UInt64(slot)
        } else {
            watch.word = serial << 32 | UInt64(slots.count)
            slots.append(watch)
        }
    }

    mutating func remove(_ watch: Watch) {
        guard self[watch.word] === watch else { return }
        let slot = Int(truncatingIfNeeded: watch.word & 0xFFFF_FFFF)
        slots[slot] = nil
        free.append(slot)
    }
}

extension EventLoop {
    /// Starts to watch a descriptor. On the loop's thread only.
    package func add(_ watch: Watch, for events: EpollEvents) throws(SystemError) {
        watches.insert(watch)
        do {
            try epoll.add(watch.fd, events, word: watch.word)
        } catch {
            watches.remove(watch)
            throw error
        }
    }

    /// Calls `body` when no process has the writing end of the pipe open any more. On the loop's thread, or before it
    /// runs.
    package func onEnd(of pipe: Int32, _ body: @escaping () -> Void) throws(SystemError) {
        // A hang-up alone: bytes written into the pipe are not an end.
        try add(Watch(pipe) { events in if events.isOver { body() } }, for: .hangUp)
    }

    package func modify(_ watch: Watch, for events: EpollEvents) throws(SystemError) {
        try epoll.modify(watch.fd, events, word: watch.word)
    }

    /// Takes a watch out. Must come before its descriptor is closed: another process may hold the same open file, and
    /// epoll would continue to report it (epoll(7), question 6).
    package func remove(_ watch: Watch) {
        // In a child the epoll's number may belong to the child's loop.
        guard process == ForkCount.current else { return }
        watches.remove(watch)
        epoll.remove(watch.fd)
    }

    /// Takes a descriptor out of the epoll, from any thread, before it is closed there. Its watch is forgotten on the
    /// loop's thread later.
    func removeBeforeClose(_ fd: Int32) {
        guard process == ForkCount.current else { return }
        epoll.remove(fd)
    }

    /// Forgets a watch whose descriptor is closed. Its number may be another file's by now.
    func forget(_ watch: Watch) { watches.remove(watch) }
}
