// A listener that its owner closes while it is served.

import Synchronization

extension Listener {
    /// Whether `close` has not been called yet in this process.
    package var isOpen: Bool { place.withLock { $0.isOpen } }

    /// Runs `body`, during which no other thread can close the socket. After `close` the number of its descriptor may
    /// belong to another file, so everything that a server does with the number goes through here.
    ///
    /// - Parameter body: must not call anything of this listener.
    /// - Throws: EBADF after `close`, or what `body` throws.
    package func whileOpen<Result>(
        _ body: () throws(SystemError) -> Result
    ) throws(SystemError) -> Result {
        try place.withLock { place throws(SystemError) in
            guard place.isOpen else {
                throw SystemError("accept4", .badDescriptor, on: "\(address), which this process has closed")
            }
            return try body()
        }
    }

    /// Has `body` called when the listener is closed, before its socket is.
    ///
    /// - Parameter body: called on the thread that closes it. Must not call anything of this listener.
    /// - Returns: what `endObservingClose` needs. Nil if it is closed already, and `body` is never called.
    package func observeClose(_ body: @escaping @Sendable () -> Void) -> Int? {
        place.withLock { place in
            guard place.isOpen else { return nil }
            place.lastCloseObserver += 1
            place.closeObservers[place.lastCloseObserver] = body
            return place.lastCloseObserver
        }
    }

    /// When it returns, the observer is not running and will not be called.
    package func endObservingClose(_ observer: Int) {
        place.withLock { _ = $0.closeObservers.removeValue(forKey: observer) }
    }
}

extension Listener.Place {
    /// - Returns: the state before.
    mutating func close() -> Self {
        let before = self
        isOpen = false
        closeObservers = [:]
        if before.isOpen { before.closeObservers.values.forEach { $0() } }
        return before
    }
}
