// FlyingFox's server socket becomes the inherited one.

import FlyingFox
import FlyingSocks
import Glibc
import Prefork
import Synchronization

/// A socket pool that puts the inherited listener in the place of the socket that FlyingFox has bound.
///
/// FlyingFox binds by itself and takes no socket, but the first that waits in its pool is its server socket: there
/// dup2(2) replaces what the number stands for. What was bound before is kept for the way back, which ends accepting
/// without closing anything.
public final class InheritedPool: AsyncSocketPool {
    private let pool: any AsyncSocketPool = HTTPServer.defaultPool()
    private let listener: Listener
    private let replaced = Mutex<(server: Int32, original: Int32)?>(nil)

    /// - Parameter listener: bound before the fork. The pool uses a duplicate of its descriptor.
    public init(_ listener: Listener) {
        self.listener = listener
    }

    /// Prepares FlyingFox's own pool, which does the waiting.
    public func prepare() async throws {
        try await pool.prepare()
    }

    /// Runs FlyingFox's own pool until its task is cancelled.
    public func run() async throws {
        try await pool.run()
    }

    /// Waits as FlyingFox's own pool does. The first socket that waits is the server's: it becomes the listener.
    ///
    /// - Throws: `SocketError` when the listener cannot be put in its place.
    public func suspendSocket(_ socket: Socket, untilReadyFor events: Socket.Events) async throws {
        try replaceFirst(socket)
        try await pool.suspendSocket(socket, untilReadyFor: events)
    }

    /// Accepts no more in this worker. Connections continue to queue for the other workers.
    public func stopAccepting() {
        replaced.withLock { replaced in
            guard let (server, original) = replaced else { return }
            _ = Self.put(original, at: server)
        }
    }

    private func replaceFirst(_ socket: Socket) throws {
        try replaced.withLock { replaced in
            guard replaced == nil else { return }
            let server = socket.file.rawValue
            let original = fcntl(server, F_DUPFD_CLOEXEC, 0)
            guard original >= 0, Self.put(listener.descriptor, at: server) else {
                throw SocketError.failed(type: "dup", errno: errno, message: "the inherited listener")
            }
            replaced = (server, original)
        }
    }

    private static func put(_ socket: Int32, at number: Int32) -> Bool {
        dup2(socket, number) == number && fcntl(number, F_SETFD, FD_CLOEXEC) == 0
    }
}
