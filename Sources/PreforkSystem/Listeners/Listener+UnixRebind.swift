// Unix listeners that another process has shut down, bound again by the process that had bound them.

import CPrefork
import Glibc
import Synchronization

extension Listener {
    /// Binds again the Unix listeners that another process with the socket has shut down. Called by the process that
    /// has bound them, after a child ended abnormally. shutdown(2) ends a Unix listener permanently for every process that has
    /// it, while a TCP listener can listen again (`listenAgain`).
    ///
    /// The descriptor keeps its number: children that are forked from now on have the new socket. Older children exit
    /// with the old socket.
    ///
    /// - Returns: what to report, a sentence for each.
    package static func reviveAll() -> [String] {
        all.compactMap { $0.revive() }
    }

    private func revive() -> String? {
        guard let binding, case .unix(let path) = address, isShutDownForGood else { return nil }
        do throws(SystemError) {
            let isRevived = try place.withLock { place throws(SystemError) in
                guard place.isOpen else { return false }
                guard let file = place.file else { return try bindNameAnew() }
                // The name of a socket that refuses every connection. It is removed only if it still is that file's.
                file.remove()
                let bound = try UnixSocketFile.bind(
                    path, mode: binding.mode, owner: binding.owner, backlog: backlog, isTrial: false)
                defer { closeDescriptor(bound.socket) }
                // The old socket's queue may hold connections with descriptors in flight.
                let replaced = try LastClose.elsewhere(sockets) { () throws(SystemError) in
                    try systemCall("dup3", on: "\(address)") { cprefork_replace(bound.socket, sockets[0]) }
                }
                _ = try replaced.get()
                place.file = bound.file
                Handover.withdraw(place.offer)
                let item = Self.item(binding.key, sockets, bound.file)
                place.item = item
                place.offer = Handover.offer(item)
                return true
            }
            return !isRevived ? nil : "another process has shut \(address) down: it is bound again"
        } catch {
            return "another process has shut \(address) down, and it cannot be bound again: \(error)"
        }
    }

    /// An abstract name is free only when the last process has closed the old socket. Until then the descriptor is a
    /// socket without a name, which workers find shut down, too: the next bad end brings the next attempt.
    ///
    /// - Throws: EADDRINUSE while a worker has the old one.
    private func bindNameAnew() throws(SystemError) -> Bool {
        guard case .unix(let path) = address, path.utf8.first == 0 else { return false }
        let new = Descriptor(owning: try Socket.open(for: address))
        let replaced = try LastClose.elsewhere(sockets) { () throws(SystemError) in
            try systemCall("dup3", on: "\(address)") { cprefork_replace(new.number, sockets[0]) }
        }
        _ = try replaced.get()
        try Socket.bind(sockets[0], to: address)
        try Socket.listen(sockets[0], backlog: backlog, on: address)
        return true
    }

    /// Whether another process has shut this Unix listener down. Such a listener is readable forever, and a
    /// non-blocking accept4(2) fails with EAGAIN (only a blocking one fails with EINVAL), so a loop that does not check
    /// here spins.
    ///
    /// Asked without the socket's lock, which another process could hold (unix_poll).
    package var isShutDownForGood: Bool {
        guard case .unix = address else { return false }
        // POLLRDHUP has the same number as in epoll. glibc declares it for C with _GNU_SOURCE only.
        let finished = Int16(truncatingIfNeeded: EPOLLRDHUP.rawValue)
        var status = pollfd(fd: sockets[0], events: finished, revents: 0)
        return poll(&status, 1, 0) == 1 && status.revents & (finished | Int16(POLLHUP)) != 0
    }
}
