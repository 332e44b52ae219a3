// The name of a listening Unix socket in the file system: how it is made, taken over and removed.

import CPrefork
import Glibc

/// The file of a Unix socket that this process has bound.
///
/// The socket is bound and listens under a private name in the same directory and gets its own name by link(2), which
/// never replaces anything. So a socket at a public name is never without a listener while its server lives, and of two
/// servers one gets the name. What is in the way is removed only under the path's `LockFile`, and only if it is a dead
/// socket.
struct UnixSocketFile: Sendable {
    let path: String
    let identity: FileIdentity
    /// The previous image has bound it.
    private let isAdopted: Bool
    /// A worker that closes its copy must not remove the name.
    private let owner = getpid()

    /// A bound and listening socket, and its file. There is no file for an abstract name, or in a trial run.
    ///
    /// - Parameter isTrial: shows only that it could be done. The socket has a name of the kernel's choice instead.
    /// - Throws: EADDRINUSE if another process listens there, or the path is not a socket. `SystemError` that names the
    ///   call and the address, or the lock.
    static func bind(
        _ path: String, mode: UInt32, owner: SocketOwner.Numbers = .init(), backlog: Int32, isTrial: Bool
    ) throws(SystemError) -> (socket: Int32, file: UnixSocketFile?) {
        let address = SocketAddress.unix(path: path)
        let descriptor = Descriptor(owning: try Socket.open(for: address))
        if path.utf8.first == 0 {
            try Socket.bind(descriptor.number, to: address)
            try Socket.listen(descriptor.number, backlog: backlog, on: address)
            return (descriptor.release(), nil)
        }
        if path.utf8.contains(0) { throw SystemError("bind", .invalidArgument, on: "\(address)") }
        // Clients must be able to name it.
        guard address.withSockaddr({ _, _ in true }) != nil else {
            throw SystemError("bind", .nameTooLong, on: "\(address)")
        }
        let place: FilePlace
        do throws(SystemError) {
            place = try FilePlace(path)
        } catch {
            throw SystemError("bind", error.errno, on: "\(address)")
        }
        if isTrial {
            // Killed at any instruction, it leaves no name behind.
            try place.checkMayWrite(for: "bind", on: "\(address)")
            if let other = place.status(), try !isDead(other, place) { throw inUse(address) }
            try Socket.bindAnywhere(descriptor.number)
            try Socket.listen(descriptor.number, backlog: backlog, on: address)
            return (descriptor.release(), nil)
        }
        let privateName = try bindPrivately(descriptor.number, place, mode: mode)
        // After link(2) this is the second name of the same file.
        defer { place.remove(privateName) }
        if owner != SocketOwner.Numbers() { try place.giveAway(privateName, to: owner) }
        try Socket.listen(descriptor.number, backlog: backlog, on: address)
        guard let status = place.status(privateName), status.kind == .socket else {
            throw SystemError("bind", .noEntry, on: "\(address): its private name was taken away")
        }
        try publish(privateName, place, address)
        return (descriptor.release(), UnixSocketFile(path: path, identity: status.identity))
    }

    /// The file of a socket that the last image of this program has left.
    ///
    /// - Parameter text: `handoverText` back then. An image from before this existed left no text, and the file at the
    ///   path counts.
    static func adopt(_ path: String, text: String) -> UnixSocketFile? {
        if let identity = FileIdentity(text: text) {
            return UnixSocketFile(path: path, identity: identity, isAdopted: true)
        }
        guard let status = (try? FilePlace(path))?.status(), status.kind == .socket else { return nil }
        return UnixSocketFile(path: path, identity: status.identity, isAdopted: true)
    }

    private init(path: String, identity: FileIdentity, isAdopted: Bool = false) {
        self.path = path
        self.identity = identity
        self.isAdopted = isAdopted
    }

    /// For the next image of this program.
    var handoverText: String { identity.text }

    /// Changes mode and owner of the file, not of what may be at its path instead.
    ///
    /// - Parameter takesBack: what has no owner named is this process's again.
    func change(
        mode: UInt32, owner: SocketOwner.Numbers = .init(), takesBack: Bool = false
    ) throws(SystemError) {
        let place = try FilePlace(path)
        var owner = owner
        if takesBack {
            if owner.user == .max { owner.user = geteuid() }
            if owner.group == .max { owner.group = place.groupOfNewFiles }
        }
        // The owner of the directory may have taken the name away. The socket serves on.
        _ = try place.changeMode(mode, of: identity)
        if owner != SocketOwner.Numbers() { _ = try place.changeOwner(owner, of: identity) }
    }

    /// Removes the name, if it still stands for this file and this process has made it. The name stays if the previous
    /// program continues to use it when this one ends.
    ///
    /// Call it while the socket listens, so that no process takes a living socket for a dead one meanwhile. The lock
    /// keeps out a start that found it dead all the same, after a worker's shutdown(2). If the lock is not available, a
    /// dead name remains, which the next start takes over.
    func remove() {
        if isAdopted, Rollback.isOpen { return }
        guard owner == getpid(), let place = try? FilePlace(path), place.identity() == identity else { return }
        guard let lock = try? LockFile.take(beside: path, patience: .milliseconds(100)) else { return }
        withExtendedLifetime(lock) { _ = place.remove(if: identity) }
    }

    private static func inUse(_ address: SocketAddress) -> SystemError {
        SystemError("bind", .addressInUse, on: "\(address)")
    }

    private static func bindPrivately(
        _ socket: Int32, _ place: FilePlace, mode: UInt32
    ) throws(SystemError) -> String {
        for attempt in 1... {
            let name = UnixSocketName.makePrivate(for: place.path)
            do throws(SystemError) {
                try systemCall("bind", on: "unix:\(place.path)") {
                    name.address.withSockaddr { pointer, length in
                        cprefork_bind_unix(
                            socket, name.isRelative ? place.number : -1, pointer, length, mode_t(mode & 0o777))
                    } ?? -1
                }
                return name.file
            } catch {
                // Something has that name, of which there are four thousand million.
                guard error.errno == .addressInUse, attempt < 8 else { throw error }
            }
        }
        throw inUse(.unix(path: place.path))
    }

    private static func publish(
        _ privateName: String, _ place: FilePlace, _ address: SocketAddress
    ) throws(SystemError) {
        if try place.take(nameOf: privateName) { return }
        // A living server answers at once: no lock for that.
        if let found = place.status(), try !isDead(found, place) { throw inUse(address) }
        guard let lock = try LockFile.take(beside: place.path, patience: .seconds(2)) else {
            throw SystemError("flock", .wouldBlock, on: "\(place.path).lock: another process has held it for 2 s")
        }
        // From the check to the link: of several starts that find a dead socket, one gets through.
        defer { withExtendedLifetime(lock) {} }
        for _ in 0..<64 {
            if try place.take(nameOf: privateName) { return }
            guard let found = place.status() else { continue }
            guard try isDead(found, place) else { throw inUse(address) }
            _ = place.remove(if: found.identity)
        }
        throw inUse(address)
    }

    /// Whether it is a socket without a listening process. Connecting is the only way to know (unix(7)). It cannot
    /// distinguish a socket that is bound and not yet listening, as other servers' are for a moment, from a dead one.
    private static func isDead(_ status: FileStatus, _ place: FilePlace) throws(SystemError) -> Bool {
        guard status.kind == .socket else { return false }
        let address = SocketAddress.unix(path: place.path)
        let probe = Descriptor(owning: try Socket.open(for: address))
        do {
            try Socket.connect(probe.number, to: address)
            return false
        } catch {
            guard error.errno == .connectionRefused else { return false }
        }
        let file = status.identity
        return cprefork_is_bound(file.major, file.minor, file.inode) != 1 && place.identity() == file
    }
}
