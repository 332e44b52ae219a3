// The options of a listener as they were before any other process had it.

import CPrefork
import Glibc
import Synchronization

/// Option values, as numbers that only C interprets.
struct ListenerOptions: Equatable, Sendable {
    private static let count = Int(CPREFORK_LISTENER_OPTIONS)
    private let values: [Int32]

    init(of socket: Int32) {
        values = [Int32](unsafeUninitializedCapacity: Self.count) { buffer, count in
            // The buffer has a base address: its capacity is not 0.
            cprefork_note_listener_options(socket, buffer.baseAddress!)
            count = Self.count
        }
    }

    /// - Parameter text: an address and the numbers, from the previous image. Nil if it left no text or numbers for
    ///   other options.
    init?(text: String) {
        values = text.split(separator: " ").dropFirst().compactMap { Int32($0) }
        if values.count != Self.count { return nil }
    }

    /// The numbers alone.
    var text: String { values.map(String.init).joined(separator: " ") }

    func restore(_ socket: Int32) { cprefork_restore_listener_options(socket, values) }
}

extension Listener {
    /// Before each fork: makes the listeners ready for processes that are not trusted. Does it once for each listener,
    /// before another process has the listener, because these calls take the socket's lock. For TCP:
    ///
    /// - Filters are locked (SO_LOCK_FILTER). Otherwise a worker could attach and lock a filter that lets no connection
    /// in, and no process could remove it. The program's filters, which may choose the socket of a group, are attached
    /// by now.
    /// - The options are noted, for `restoreAll`, and for the next image of this program.
    package static func prepareForSharing() {
        for listener in all { listener.prepareForSharing() }
    }

    private func prepareForSharing() {
        place.withLock { place in
            guard place.isOpen, !place.isShared else { return }
            place.isShared = true
            if case .unix = address { return }
            if let first = sockets.first { note(first, in: &place) }
        }
    }

    private func note(_ first: Int32, in place: inout Place) {
        for socket in sockets {
            try? Socket.setOption(socket, level: SOL_SOCKET, SO_LOCK_FILTER, name: "SO_LOCK_FILTER", to: 1)
        }
        let options = ListenerOptions(of: first)
        place.options = options
        guard var item = place.item else { return }
        item.text = "\(address.handoverText ?? "-") \(options.text)"
        Handover.withdraw(place.offer)
        place.item = item
        place.offer = Handover.offer(item)
    }

    /// Makes TCP listeners listen again and restores the noted options, as far as this process has the privileges.
    /// Called in a child, never in the supervisor, because the calls take the socket's lock. Only root (CAP_NET_RAW)
    /// can remove a device to which another process has bound a listener (SO_BINDTODEVICE), so it is also called before
    /// the child drops its privileges.
    package static func restoreOptions() {
        for listener in all {
            let options = listener.place.withLock { $0.options }
            for socket in listener.sockets {
                if !listener.isNew(socket) { _ = listener.listenAgain(socket) }
                options?.restore(socket)
            }
        }
    }
}
