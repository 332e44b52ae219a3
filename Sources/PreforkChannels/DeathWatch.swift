// The end of another process as an event on the loop, whoever its parent is.

package import PreforkEventLoop
package import PreforkSystem
import Synchronization

/// Waits for the end of one process. Forgetting the watch ends it, too.
package final class DeathWatch {
    /// Weak: whoever keeps a watch for as long as the loop lives must not keep the loop.
    private weak var loop: EventLoop?
    private var watch: Watch?
    private let process = ForkCount.current
    private var pidfd: Descriptor?
    private var number: Int32?

    /// Calls `onDeath` once on the loop, when `process` has ended. On the loop's thread only.
    ///
    /// - Returns: nil when it has ended already; `onDeath` is then not called.
    /// - Throws: `SystemError` (`pidfd_open`, `epoll_ctl`).
    package init?(of process: ProcessIdentity, on loop: EventLoop, onDeath: @escaping () -> Void) throws(SystemError) {
        guard let pidfd = try process.openPidfd() else { return nil }
        let number = pidfd.number
        self.number = number
        self.pidfd = consume pidfd
        self.loop = loop
        loop.usersDescriptors.withLock { _ = $0.insert(number) }
        let watch = Watch(number) { [weak self] _ in
            self?.cancel()
            onDeath()
        }
        try loop.add(watch, for: .readable)
        self.watch = watch
    }

    /// No call from now on. On the loop's thread only.
    package func cancel() {
        guard let watch else { return }
        loop?.remove(watch)
        self.watch = nil
        close()
    }

    private func close() {
        // Nil after the first time: the number may be another descriptor's by then.
        guard let number else { return }
        loop?.usersDescriptors.withLock { _ = $0.remove(number) }
        self.number = nil
        pidfd = nil
    }

    deinit {
        // A child has closed it long before; its number may be another descriptor's.
        if process != ForkCount.current { _ = pidfd.take()?.release() } else { close() }
    }
}
