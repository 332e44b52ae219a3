// The end of a service: clients that come too late are refused at once.

import Synchronization

extension Listener {
    /// A call of `serve` begins to accept.
    package func beginServing() { place.withLock { $0.servers += 1 } }

    /// A call of `serve` accepts no more.
    ///
    /// - Parameter isOver: no other process of the service will accept, either. When the last one has closed the socket, the
    ///   kernel refuses new clients. Otherwise they would wait in the queue until the last worker has ended, and be reset
    ///   then. nginx and gunicorn close their sockets at the beginning of a stop, too.
    package func endServing(isOver: Bool) {
        let isLast = place.withLock { place in
            place.servers -= 1
            return place.servers == 0
        }
        // The supervisor's copy is its own to close, and a program without workers may serve again.
        // Not as a supervisor does, which must not wait for what others have left in a queue.
        if isOver, isLast, TaskIdentity.current != nil { close(isShared: false) }
    }

    /// In the supervisor, when it asks its workers to end and no other worker will follow.
    package func endService() { close(isShared: true) }
}
