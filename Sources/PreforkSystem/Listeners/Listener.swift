// Bound listening sockets: made before the fork, inherited by every worker.

import Glibc
import Synchronization

/// How the workers of a pool share a listener.
public enum AcceptSharing: Hashable, Sendable {
    /// One accept queue for all: a connection goes to a worker that waits, and a dead worker's share to the others.
    case sharedQueue
    /// SO_REUSEPORT: one accept queue per worker, chosen by the kernel from the client's address and port. The
    /// supervisor owns all of them. The worker with task ID i always gets queue i, so that a replacement finds the
    /// connections its predecessor left. `queues` is the number of workers. TCP only.
    ///
    /// Queues without a worker are shared out among the workers that are ready, by the supervisor's order: where the
    /// pool has fewer workers than queues, and while a worker that has ended has no successor. `Listener.serve` does
    /// that. A server that accepts from `Listener.descriptor` itself has its own queue alone, and must not have fewer
    /// workers than queues.
    case reusePort(queues: Int)

    /// As the compiler would print it, which keys of the previous image have. Reflection takes 0.3 ms of a start.
    var text: String {
        switch self {
        case .sharedQueue: "sharedQueue"
        case .reusePort(let queues): "reusePort(queues: \(queues))"
        }
    }
}

/// A bound, listening stream socket (TCP or Unix).
///
/// Bind in the supervisor, before `forkProcesses` or `ForkRuntime.run`: the supervisor keeps the socket open, so that
/// a crash, a restart or a reload of workers never resets a connection that waits in the queue. Serving it is
/// `serve(limit:_:)` of the event loop.
public final class Listener: Sendable {
    /// The address it is bound to. If port 0 was requested, it has the actual port.
    public let address: SocketAddress
    let sockets: [Int32]
    let backlog: Int32
    /// How many queues it is said to have.
    let queues: Int
    let place: Mutex<Place>
    /// The same in this process and in the children that it forks, and of no other listener of theirs.
    package let number = ListenerRegistry.takeNumber()
    /// The key in what is handed over to the next image of this program, and the mode and owner of the path. Nil if
    /// this program has not bound the path.
    let binding: (key: String, mode: UInt32, owner: SocketOwner.Numbers)?
    /// The workers of the previous image have the same sockets. Has no meaning in the first image.
    package let isWhollyInherited: Bool

    /// What changes when a Unix socket is bound again (`reviveAll`).
    struct Place {
        /// The path to remove.
        var file: UnixSocketFile?
        /// What is handed over to the next image of this program, and its name there. If nil, the next image gets
        /// nothing.
        var item: HandoverItem?
        var offer: UInt64
        var isOpen = true
        /// Calls of `serve` in this process that still accept.
        var servers = 0
        /// Called before the sockets are closed.
        var closeObservers: [Int: @Sendable () -> Void] = [:]
        var lastCloseObserver = 0
        /// Other processes may have the socket: nothing that takes its lock is for this one any more.
        var isShared: Bool
        /// As they were before that. Of TCP listeners.
        var options: ListenerOptions?

        init(_ item: HandoverItem?, file: UnixSocketFile? = nil, left: String? = nil) {
            self.item = item
            self.file = file
            offer = item.map { Handover.offer($0) } ?? 0
            isShared = left != nil
            options = left.flatMap { ListenerOptions(text: $0) }
        }
    }

    /// Binds and listens.
    ///
    /// - Parameters:
    ///   - endpoint: the address. An existing Unix path is taken over only if it is a socket without a listening
    ///     process. The socket is first bound under another name in the same directory, and getsockname(2) keeps
    ///     reporting that name.
    ///   - backlog: connections that may wait to be accepted, not below zero. The kernel reduces it to
    ///     net.core.somaxconn, and lets one connection wait if it is zero.
    ///   - sharing: see `AcceptSharing`.
    /// - Throws: `SystemError` naming the call (`bind`, `listen`, `getaddrinfo`, ...), errno and the address. EINVAL,
    ///   with the value, for an invalid backlog, mode, owner or number of queues. EPERM of `fchownat` if this process
    ///   may not give the file to the owner.
    public init(
        _ endpoint: Endpoint, backlog: Int32 = 1024, sharing: AcceptSharing = .sharedQueue
    ) throws(SystemError) {
        try Self.check(endpoint, backlog: backlog)
        fillStandardDescriptors()
        self.backlog = backlog
        queues = if case .reusePort(let count) = sharing { count } else { 1 }
        let key = "\(endpoint) \(sharing.text)"
        if case .unix(let path, let mode, let owner) = endpoint {
            binding = (key, mode, try owner.numbers(for: .unix(path: path)))
        } else {
            binding = nil
        }
        let file: UnixSocketFile?
        if let left = try Self.left(for: endpoint, sharing: sharing, key: key) {
            // The last image of this program had it open, and connections may wait in its queue.
            if case .unix(let name, _, _) = endpoint {
                address = .unix(path: name)
                sockets = left.descriptors
                file = Handover.isTrial ? nil : Self.adopt(name, left, binding)
            } else {
                address = try SocketAddress(of: left.descriptors.first ?? -1, left: left.text)
                file = nil
                sockets = try left.descriptors + Self.bindMissing(of: left, at: address, backlog: backlog, sharing)
            }
            isWhollyInherited = left.key == key && left.descriptors.count == sockets.count
            let keyForNext = sharing == .sharedQueue || isWhollyInherited ? key : key + Self.incomplete
            place = Mutex(Place(Self.item(keyForNext, sockets, file, text: left.text), file: file, left: left.text))
            ListenerRegistry.add(self)
            return
        }
        isWhollyInherited = false
        switch endpoint {
        case .tcp(let host, let port):
            (sockets, address) = try Self.tellingTrial { () throws(SystemError) in
                try Self.bindTCP(host: host, port: port, backlog: backlog, sharing: sharing)
            }
            file = nil
        case .unix(let name, let mode, _):
            let owner = binding?.owner ?? SocketOwner.Numbers()
            let address = SocketAddress.unix(path: name)
            if case .reusePort = sharing {
                throw SystemError("bind", .invalidArgument, on: "\(address): SO_REUSEPORT is for TCP")
            }
            let bound = try Self.tellingTrial { () throws(SystemError) in
                try UnixSocketFile.bind(
                    name, mode: mode, owner: owner, backlog: backlog, isTrial: Handover.isTrial)
            }
            sockets = [bound.socket]
            file = bound.file
            self.address = address
        }
        place = Mutex(Place(Self.item(key, sockets, file, text: address.handoverText ?? ""), file: file))
        ListenerRegistry.add(self)
    }

    /// Refuses values that the kernel would misread: a negative backlog would be the greatest (listen(2)), and bits of
    /// a mode beyond the permissions would be ignored.
    private static func check(_ endpoint: Endpoint, backlog: Int32) throws(SystemError) {
        if backlog < 0 { throw SystemError("listen", .invalidArgument, on: "a backlog of \(backlog)") }
        guard case .unix(let path, let mode, let owner) = endpoint else { return }
        let address = SocketAddress.unix(path: path)
        if mode > 0o777 {
            throw SystemError("bind", .invalidArgument, on: "\(address): mode 0o\(String(mode, radix: 8))")
        }
        if owner != .unchanged, path.utf8.first == 0 {
            throw SystemError("bind", .invalidArgument, on: "\(address): an abstract name has no owner")
        }
    }

    /// Adopts an inherited listening socket, for example one of systemd's LISTEN_FDS.
    ///
    /// It becomes non-blocking and close-on-exec. A Unix path of it is left alone at close.
    public convenience init(adopting descriptor: Int32) throws(SystemError) {
        let listening = try Socket.option(descriptor, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN")
        guard listening != 0 else {
            throw SystemError("accept4", .invalidArgument, on: "descriptor \(descriptor), which does not listen")
        }
        try self.init(adopting: descriptor, offeringAs: nil, left: nil)
    }

    /// A service manager's socket, which is left to the next image of this program, too.
    convenience init(_ inherited: InheritedDescriptor) throws(SystemError) {
        try self.init(adopting: inherited.number, offeringAs: inherited.name, left: inherited.left)
    }

    /// - Parameters:
    ///   - name: the name under which the next image of this program gets the socket. If nil, the socket stays with
    ///     this image.
    ///   - left: the text of the previous image. If nil, this is the first image.
    private init(adopting descriptor: Int32, offeringAs name: String?, left: String?) throws(SystemError) {
        try setNonBlocking(descriptor)
        try setCloseOnExec(descriptor)
        address = try SocketAddress(of: descriptor, left: left)
        sockets = [descriptor]
        // The process that has bound it has chosen a backlog, and the kernel reduces it to net.core.somaxconn.
        backlog = Int32.max
        queues = 1
        binding = nil
        isWhollyInherited = left != nil
        let text = left ?? address.handoverText ?? ""
        let item = name.map {
            HandoverItem(
                kind: InheritedDescriptors.handoverKind, key: $0, descriptors: [descriptor], text: text)
        }
        place = Mutex(Place(item, left: left))
        ListenerRegistry.add(self)
    }

    deinit {
        close()
    }

    /// The listening socket that this process accepts from: the socket of its task ID for `.reusePort`, or else the
    /// only one. With `.reusePort`, `serve` also accepts from sockets without a worker.
    ///
    /// The listener keeps owning it. A server that closes the socket it is given gets a `duplicate()`.
    public var descriptor: Int32 {
        if TaskIdentity.current != nil { beginListening(onQueue: ownQueue) }
        return sockets[ownQueue]
    }

    /// Called in a worker before it accepts from a queue: a queue that this image has bound in addition to the previous
    /// image's queues may not listen yet. If it cannot, accepting reports the error to the worker.
    package func beginListening(onQueue number: Int) {
        if mayHaveNewQueues { _ = listenAgain(sockets[number]) }
    }

    /// Whether some queues may not listen because no worker has taken them yet.
    var mayHaveNewQueues: Bool { sockets.count > 1 && !isWhollyInherited && Handover.isLaterImage }

    /// Whether `socket` receives no connections before a worker takes its queue.
    func isNew(_ socket: Int32) -> Bool {
        mayHaveNewQueues
            && (try? Socket.option(socket, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN")) == 0
    }

    /// Which of the accept queues belongs to `descriptor`.
    package var ownQueue: Int { (TaskIdentity.current?.taskID ?? 0) % sockets.count }

    /// More than one for `.reusePort`. Every process that has the listener has the sockets of all of them.
    package var queueCount: Int { sockets.count }

    /// - Parameter number: 0 ..< `queueCount`.
    package func socket(ofQueue number: Int) -> Int32 { sockets[number] }

    /// A second descriptor of that socket, close-on-exec, which the caller must close. For servers with another event
    /// loop, such as SwiftNIO, which adopt a bound socket. Closing it ends accepting in that server only. Other workers
    /// are not affected, and connections continue to queue in the supervisor.
    ///
    /// - Throws: fcntl's error when no descriptor is left.
    public func duplicate() throws(SystemError) -> Int32 {
        try PreforkSystem.duplicate(descriptor)
    }

    /// Closes the socket in this process. The socket ends when the last process that has it open closes it. The process
    /// that bound a Unix path removes it. Closing twice has no effect.
    ///
    /// A `serve` of this process that still accepts from it ends with EBADF. One that has been asked to stop goes on
    /// with the connections that it has.
    ///
    /// A supervisor does not wait for what a worker has left in the queue of a Unix socket: see `LastClose`.
    public func close() {
        close(isShared: hasForkedChildren)
    }

    func close(isShared: Bool) {
        let last = place.withLock { $0.close() }
        guard last.isOpen else { return }
        ListenerRegistry.remove(self)
        Handover.withdraw(last.offer)
        // Before the socket is closed, so that no process takes a name that has a listener for a dead one.
        last.file?.remove()
        if case .unix = address, isShared { LastClose.closeShared(sockets) } else { closeDescriptors(sockets) }
    }

    private static func bindTCP(
        host: String, port: UInt16, backlog: Int32, sharing: AcceptSharing
    ) throws(SystemError) -> ([Int32], SocketAddress) {
        let candidates = try resolveAddresses(host: host, port: port)
        var failure = SystemError("getaddrinfo", .addressNotAvailable, on: host)
        for candidate in candidates {
            do {
                return try listenTCP(candidate, backlog: backlog, sharing: sharing)
            } catch {
                failure = error
                // Only "this machine has no such address" is a reason to try the next one of a name.
                guard [.addressNotAvailable, .familyNotSupported].contains(error.errno) else { break }
            }
        }
        throw failure
    }

    private static func listenTCP(
        _ wanted: SocketAddress, backlog: Int32, sharing: AcceptSharing
    ) throws(SystemError) -> ([Int32], SocketAddress) {
        var queues = 1
        if case .reusePort(let count) = sharing {
            try checkQueues(count, at: wanted)
            queues = count
        }
        var sockets: [Int32] = []
        var address = wanted
        do {
            for _ in 0..<queues {
                // The first socket settles port 0, and the others join it.
                sockets.append(try openListeningTCP(address, backlog: backlog, shared: sharing != .sharedQueue))
                address = try Socket.localAddress(sockets[0])
            }
            return (sockets, address)
        } catch {
            sockets.forEach(closeDescriptor)
            throw error
        }
    }
}

extension Listener {
    /// Binds the queues that an SO_REUSEPORT group of the previous image does not have. Its surplus queues stay,
    /// because closing one would reset the connections that wait there.
    ///
    /// They do not listen yet. Otherwise the kernel would give them connections that end with a trial run, or that wait
    /// while this image has no worker and are lost if it never has one. The first worker that takes a queue listens on
    /// it.
    private static func bindMissing(
        of left: HandoverItem, at address: SocketAddress, backlog: Int32, _ sharing: AcceptSharing
    ) throws(SystemError) -> [Int32] {
        guard case .reusePort(let queues) = sharing, queues > left.descriptors.count else { return [] }
        try checkQueues(queues, at: address)
        var sockets: [Int32] = []
        do {
            for _ in left.descriptors.count..<queues {
                let socket = try openTCP(address, shared: true)
                sockets.append(socket)
                // As `prepareForSharing` does for the first image.
                try Socket.setOption(socket, level: SOL_SOCKET, SO_LOCK_FILTER, name: "SO_LOCK_FILTER", to: 1)
            }
            return sockets
        } catch {
            sockets.forEach(closeDescriptor)
            throw error
        }
    }

    private static func checkQueues(_ count: Int, at address: SocketAddress) throws(SystemError) {
        if (1...Int(UInt16.max)).contains(count) { return }
        throw SystemError("bind", .invalidArgument, on: "\(address): \(count) SO_REUSEPORT queues")
    }
}

private func openListeningTCP(_ address: SocketAddress, backlog: Int32, shared: Bool) throws(SystemError) -> Int32 {
    let descriptor = Descriptor(owning: try openTCP(address, shared: shared))
    try Socket.listen(descriptor.number, backlog: backlog, on: address)
    return descriptor.release()
}

private func openTCP(_ address: SocketAddress, shared: Bool) throws(SystemError) -> Int32 {
    let descriptor = Descriptor(owning: try Socket.open(for: address))
    let fd = descriptor.number
    // A restart must not wait for the old connections' TIME_WAIT (tcp(7)).
    try Socket.setOption(fd, level: SOL_SOCKET, SO_REUSEADDR, name: "SO_REUSEADDR", to: 1)
    if shared { try Socket.setOption(fd, level: SOL_SOCKET, SO_REUSEPORT, name: "SO_REUSEPORT", to: 1) }
    if case .ipv6(0, 0, _, _) = address {
        try Socket.setOption(fd, level: Int32(IPPROTO_IPV6), IPV6_V6ONLY, name: "IPV6_V6ONLY", to: 0)
    }
    // Accepted sockets inherit it from their listener: one call here instead of one per connection.
    try Socket.setNoDelay(fd)
    try Socket.bind(fd, to: address)
    return descriptor.release()
}
