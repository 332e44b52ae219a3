// The end of another process as an event on the loop. The process need not be a child.

package import PreforkEventLoop
package import PreforkSystem
import Synchronization

/// Waits for the end of one process. Forgetting the watch ends it, too.
package final class ProcessWatch {
    /// Weak: an owner that keeps a watch for the loop's lifetime must not keep the loop alive.
    private weak var loop: EventLoop?
    private var watch: Watch?
    private let process = ForkCount.current
    private var pidfd: Descriptor?
    private var number: Int32?
    private var isCancelled = false

    /// How often a process is checked where a kernel or a seccomp filter refuses pidfds.
    private static let period = Duration.milliseconds(100)

    /// Calls `onDeath` once on the loop, when `process` has ended. On the loop's thread only.
    ///
    /// - Returns: nil if it has ended already. `onDeath` is then not called.
    /// - Throws: `SystemError` (`pidfd_open`, `epoll_ctl`) for want of descriptors or memory.
    package init?(of process: ProcessIdentity, on loop: EventLoop, onDeath: @escaping () -> Void) throws(SystemError) {
        self.loop = loop
        let opened: Int32
        do throws(SystemError) {
            guard let pidfd = try process.openPidfd() else { return nil }
            opened = pidfd.number
            self.pidfd = consume pidfd
        } catch {
            guard [.noSystemCall, .notPermitted].contains(error.errno) else { throw error }
            guard process.isAlive else { return nil }
            recheckLater(at: process, onDeath)
            return
        }
        number = opened
        loop.usersDescriptors.withLock { _ = $0.insert(opened) }
        let watch = Watch(opened) { [weak self] _ in
            self?.cancel()
            onDeath()
        }
        try loop.add(watch, for: .readable)
        self.watch = watch
    }

    private func recheckLater(at process: ProcessIdentity, _ onDeath: @escaping () -> Void) {
        // Not kept, because it would keep the loop.
        _ = loop?.call(after: Self.period) { [weak self] in
            guard let self, !isCancelled else { return }
            if process.isAlive { return recheckLater(at: process, onDeath) }
            onDeath()
        }
    }

    /// No call from now on. On the loop's thread only.
    package func cancel() {
        isCancelled = true
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
        // A child has closed it long before. Another descriptor may have its number.
        if process != ForkCount.current { _ = pidfd.take()?.release() } else { close() }
    }
}
