// Trees of services on the loop of a worker or a managed process.

import PreforkEventLoop
import PreforkServices
import PreforkStore
import PreforkSystem

/// The monotonic clock, and the timers of the calling task's loop.
struct LoopServiceClock: ServiceClock {
    var now: Duration { .nanoseconds(MonotonicInstant.now.nanoseconds) }

    func sleep(until deadline: Duration) async throws {
        try Task.checkCancellation()
        // A timer counts in milliseconds that the kernel rounds: it may come a little early.
        while case let rest = deadline - now, rest > .zero { try await EventLoop.sleep(for: rest) }
    }
}

extension LoopMain {
    /// Makes the loop the place of every tree that this process runs.
    ///
    /// - Returns: the wishes that end the trees, and the observer of the loop's stop request, to be removed with them.
    static func hostServices(on loop: EventLoop) -> (wishes: StopWishes, observer: Int) {
        let (host, wishes) = serviceHost(on: loop)
        ServiceHost.install(host)
        // Another request for the end: by the program itself, through the loop's stop request.
        let observer = loop.stopRequest.onRequest {
            wishes.wish(.requested)
            ProcessStop.request()
        }
        return (wishes, observer)
    }

    private static func serviceHost(on loop: EventLoop) -> (ServiceHost, StopWishes) {
        let wishes = StopWishes(clock: LoopServiceClock())
        var host = ServiceHost(clock: LoopServiceClock(), executor: loop.preference, stopSource: wishes)
        let readiness = TreeReadiness(on: loop)
        host.watcher = { readiness.note($0) }
        return (host, wishes)
    }

    /// Done once before the fork, because each worker would otherwise do it at its start. See `EventLoop.warmUp`.
    static func warmUp() {
        EventLoop.warmUp { loop in
            let (host, wishes) = serviceHost(on: loop)
            loop.stopRequest.removeObserver(loop.stopRequest.onRequest { wishes.wish(.requested) })
            withExtendedLifetime(host) {}
            ServiceHost.prepareInstall()
            StoreRegistry.prepare()
        }
    }

    /// How long trees may take to stop after `signal`: until shortly before the supervisor's SIGKILL. What is left then
    /// is for the body's last steps: half of the time by which its task is cancelled before.
    func treeLimit(after signal: Signal) -> Duration {
        let timeout = signal == .interrupt ? quickTimeout : drainTimeout
        return timeout - margin(of: timeout).part(of: 2)
    }

    /// How long before the supervisor's SIGKILL the body's task is cancelled.
    func margin(of timeout: Duration) -> Duration { min(timeout.part(of: 10), .seconds(1)) }
}

/// Where a process is ready when it first waits: one that runs trees by then is ready when they are up.
private final class TreeReadiness: @unchecked Sendable {
    // Sendable: everything but the loop is touched on the loop only.
    private let loop: EventLoop
    private var ready: (() -> Void)?
    private var pending = 0

    init(on loop: EventLoop) {
        self.loop = loop
    }

    func note(_ moment: TreeMoment) {
        loop.execute { [self] in
            switch moment {
            case .begins:
                if ready == nil { ready = loop.onFirstWait.take() }
                if ready != nil { pending += 1 }
            case .up, .givesUp:
                guard pending > 0 else { return }
                pending -= 1
                guard pending == 0, let ready else { return }
                self.ready = nil
                // Without a tree nothing changes: the body may continue without it, and wait.
                if case .up = moment { ready() } else { loop.onFirstWait = ready }
            }
        }
    }
}
