// The end of another process as an event on the loop, whoever its parent is.

package import PreforkEventLoop
package import PreforkSystem

/// Waits for the end of one process. Forgetting the watch ends it, too.
package final class DeathWatch {
    /// Weak: whoever keeps a watch for as long as the loop lives must not keep the loop.
    private weak var loop: EventLoop?
    private var watch: Watch?
    private let pidfd: Descriptor

    /// Calls `onDeath` once on the loop, when `process` has ended. On the loop's thread only.
    ///
    /// - Returns: nil when it has ended already; `onDeath` is then not called.
    /// - Throws: `SystemError` (`pidfd_open`, `epoll_ctl`).
    package init?(of process: ProcessIdentity, on loop: EventLoop, onDeath: @escaping () -> Void) throws(SystemError) {
        guard let pidfd = try process.openPidfd() else { return nil }
        self.pidfd = pidfd
        self.loop = loop
        let watch = Watch(self.pidfd.number) { [weak self] _ in
            self?.cancel()
            onDeath()
        }
        try loop.add(watch, for: .readable)
        self.watch = watch
    }

    /// No call from now on. On the loop's thread only.
    package func cancel() {
        if let watch { loop?.remove(watch) }
        watch = nil
    }
}
