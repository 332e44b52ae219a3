// Listeners that systemd has bound: socket activation.

import Glibc
import Synchronization

/// The descriptors of LISTEN_FDS that the program has not taken yet. Read once in a process, which then removes the
/// variables.
private struct InheritedTable {
    var isRead = false
    var left: [InheritedDescriptor] = []
    /// What the previous run of the service has put into its manager's store.
    var stored: [InheritedDescriptor] = []
    /// What the variables said to another process, before they were removed.
    var warning: String?

    mutating func read() throws(InheritedListenerError) {
        if isRead { return }
        let announced = try InheritedDescriptors.parse(ProcessEnvironment.all, pid: getpid())
        // All of them, wanted or not: no program that a worker starts may have them.
        for descriptor in announced {
            do throws(SystemError) {
                try setCloseOnExec(descriptor.number)
            } catch {
                throw error.errno == .badDescriptor
                    ? InheritedListenerError(.notOpen(descriptor: descriptor.number, name: descriptor.name))
                    : InheritedListenerError(.system(error))
            }
        }
        warning = InheritedDescriptors.warning(ProcessEnvironment.all, pid: getpid())
        ProcessEnvironment.remove(InheritedDescriptors.variables)
        stored = announced.filter { InheritedDescriptors.isStored($0.name) }
        let handedOver = Handover.takeAll(InheritedDescriptors.handoverKind)
        left = announced.filter { !InheritedDescriptors.isStored($0.name) } + handedOver.compactMap { item in
            item.descriptors.first.map { InheritedDescriptor(number: $0, name: item.key, left: item.text) }
        }
        isRead = true
    }
}

private let table = Mutex(InheritedTable())

extension InheritedDescriptors {
    /// See `warning(_:pid:)`: for this process, whether or not it has requested its listeners.
    package static var warning: String? {
        table.withLock { $0.isRead ? $0.warning : warning(ProcessEnvironment.all, pid: getpid()) }
    }

    /// What begins with this is no listener: the supervisor has stored it with its service manager (FDSTORE=1 of
    /// sd_notify(3)), and the next start of the service gets it among its sockets.
    package static let storedPrefix = "prefork-stored-"

    static func isStored(_ name: String) -> Bool { name.hasPrefix(storedPrefix) }

    /// Takes what was stored under a name. The caller owns it. Nil if there is nothing, or the variables are invalid.
    package static func takeStored(_ name: String) -> Int32? {
        table.withLock { table in
            guard (try? table.read()) != nil, let place = table.stored.firstIndex(where: { $0.name == name }) else {
                return nil
            }
            return table.stored.remove(at: place).number
        }
    }
}

extension Listener {
    /// The listening sockets that systemd or another manager has bound for this process (LISTEN_FDS, LISTEN_PID), in
    /// their order. Empty if the manager passed no sockets.
    ///
    /// Call it in the supervisor, before the fork. Each socket is handed out once: a later call returns what is left.
    /// The variables are removed from the environment, so that a program started later does not take the sockets for
    /// its own. The sockets become non-blocking and close-on-exec. A failed call takes nothing.
    ///
    /// - Throws: `InheritedListenerError` if the variables are invalid or a descriptor is not a listening stream
    ///   socket. That nothing was passed is not an error.
    /// - Note: sd_listen_fds(3). A shell between systemd and this program must `exec` it.
    public static func inherited() throws(InheritedListenerError) -> [Listener] {
        try take { _ in true }
    }

    /// Like `inherited()`, but returns only the sockets with that `FileDescriptorName=`. Several ListenStream= lines of
    /// one unit share a name.
    ///
    /// - Parameter name: without it in the unit file, systemd uses the socket unit's name, such as `app.socket`.
    public static func inherited(named name: String) throws(InheritedListenerError) -> [Listener] {
        try take { $0.name == name }
    }

    private static func take(
        _ isWanted: (InheritedDescriptor) -> Bool
    ) throws(InheritedListenerError) -> [Listener] {
        try table.withLock { (table) throws(InheritedListenerError) in
            try table.read()
            let wanted = table.left.filter(isWanted)
            // Checked before the first is adopted: an adopted socket is closed when its listener goes.
            for descriptor in wanted { try checkListens(descriptor) }
            var listeners: [Listener] = []
            for descriptor in wanted {
                do throws(SystemError) {
                    listeners.append(try Listener(descriptor))
                } catch {
                    throw InheritedListenerError(.system(error))
                }
                table.left.removeAll { $0 == descriptor }
            }
            return listeners
        }
    }

    /// A worker may have shut down a handed-over socket at any instant of an upgrade. New workers restore it, and a
    /// program that refused it would end the service. A worker of an ended service may also have shut down the socket
    /// that its manager keeps for the next service.
    static func checkListens(_ descriptor: InheritedDescriptor) throws(InheritedListenerError) {
        let (number, name) = (descriptor.number, descriptor.name)
        do throws(SystemError) {
            let listens = try Socket.option(number, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN")
            let type = try Socket.option(number, level: SOL_SOCKET, SO_TYPE, name: "SO_TYPE")
            guard type == Int32(SOCK_STREAM.rawValue) else { throw SystemError("accept4", .notSocket) }
            if listens != 0 || descriptor.left != nil || listenAgain(number) { return }
        } catch {
            if error.errno == .badDescriptor { throw InheritedListenerError(.notOpen(descriptor: number, name: name)) }
            if error.errno != .notSocket { throw InheritedListenerError(.system(error)) }
        }
        throw InheritedListenerError(.notListening(descriptor: number, name: name))
    }

    /// A socket that had a port. A socket that is connected to a peer fails with EINVAL.
    private static func listenAgain(_ number: Int32) -> Bool {
        guard let address = try? Socket.localAddress(number), address.port ?? 0 != 0 else { return false }
        // A port that the kernel has chosen was given back. EINVAL: the socket has its port still.
        try? Socket.bind(number, to: address)
        return (try? Socket.listen(number, backlog: .max, on: address)) != nil
            && (try? Socket.localAddress(number)) == address
    }
}
