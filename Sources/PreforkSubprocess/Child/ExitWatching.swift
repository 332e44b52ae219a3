// The loop that observes exits, and its method.

public import PreforkEventLoop
public import PreforkSystem
import Synchronization

extension Subprocess {
    /// How the exits of children are observed.
    public enum ExitNotice: Hashable, Sendable {
        /// A pidfd for each child, or SIGCHLD if there is no pidfd.
        case automatic
        /// SIGCHLD for all: for kernels and containers without pidfds. The signal is a global setting. A handler that
        /// was there before is still called.
        case childSignal
    }

    /// Chooses the loop that watches exits and streams of the processes that are started from now on.
    ///
    /// Not needed otherwise: a process belongs to the loop it is started on, or to the shared one.
    ///
    /// Follows tornado's Subprocess.initialize.
    ///
    /// - Parameter loop: must run as long as any of the processes. If nil, as without this call.
    public static func initialize(
        on loop: EventLoop? = nil, notice: ExitNotice = .automatic
    ) throws(SystemError) {
        ExitWatching.choose(loop)
        if notice == .childSignal {
            try ChildSignalReaper.listen(on: try EventLoop.chosen(loop), isForced: true)
        }
    }

    /// Undoes `initialize`: SIGCHLD has its previous action again. Children that depended on it are checked once a
    /// second until they end.
    public static func uninitialize() {
        ExitWatching.choose(nil)
        ChildSignalReaper.stopListening()
    }
}

/// The settings of this process.
package enum ExitWatching {
    private struct Settings {
        var loop: EventLoop?
        var engine = SpawnEngine()
    }

    private static let settings = Mutex(Settings())

    static var loop: EventLoop? { settings.withLock(\.loop) }

    static func choose(_ loop: EventLoop?) {
        settings.withLock { $0.loop = loop }
    }

    /// How processes are started. Tests force the methods of other kernels.
    package static var engine: SpawnEngine {
        get { settings.withLock(\.engine) }
        set { settings.withLock { $0.engine = newValue } }
    }
}
