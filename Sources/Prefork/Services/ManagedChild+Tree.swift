// Trees of services as the life of a managed process.

import PreforkEventLoop
public import PreforkServices
import PreforkSupervisor
import PreforkSystem
import Synchronization

extension ManagedChild {
    /// Runs a tree of services until it fails or this process is asked to end, and tells the manager that this process
    /// is ready when the tree is up. It is down before the grace period is over.
    ///
    /// - Returns: the exit code for the body to return: 0 for a clean end, otherwise the exit code of the
    ///   `ServiceError`, which is written to standard error.
    public func runTree(_ root: any AsyncService) async -> Int32 {
        do throws(ServiceError) {
            try await runAnnounced(root, ready: ready)
            return 0
        } catch {
            if error.exitCode != 0 { reportFailure(of: name, error) }
            return error.exitCode
        }
    }
}

extension ChildContext {
    /// Runs a tree of services on its own event loop, as the async form does, and blocks until it is down.
    ///
    /// SIGTERM, SIGQUIT and SIGINT end the tree meanwhile. Afterwards they have their former effect. A tree that is run
    /// when the manager has asked for the end is not started. With `.automatic` readiness this process is ready before
    /// its body begins. `.manual` makes others wait for the tree.
    ///
    /// - Returns: the exit code for the body to return: 0 for a clean end, otherwise the exit code of the
    ///   `ServiceError`, which is written to standard error. 1 if there is no descriptor left for a loop. 128 + n after
    ///   signal n from another process than the manager.
    public borrowing func runTree(_ root: any AsyncService) -> Int32 {
        let handle = handle
        let main = LoopMain(
            name: handle.name, supervisorPipe: handle.supervisorPipe, signalMask: handle.signalMask,
            drainTimeout: handle.grace, executor: .wholeProcess,
            orderedStop: { handle.isSucceeded ? .worker : handle.isStopRequested ? .service : nil })
        defer { SignalMask.restore(handle.signalMask) }
        do {
            let loop = try TreeLoop.ofThisProcess(supervisorPipe: handle.supervisorPipe)
            let body: @Sendable () async throws -> Int32 = {
                // Its signals are listened to by now, but the order's may have been taken before.
                if handle.isStopRequested { return 0 }
                try await runAnnounced(root, ready: handle.markReady)
                return 0
            }
            return try main.outcome(of: body, on: loop)
        } catch {
            reportFailure(of: handle.name, error)
            return 1
        }
    }
}

/// - Parameter ready: called when the tree is up.
private func runAnnounced(_ root: any AsyncService, ready: @escaping @Sendable () -> Void) async throws(ServiceError) {
    var host = ServiceHost.current
    host.watcher = { [watcher = host.watcher] moment in
        watcher?(moment)
        if case .up = moment { ready() }
    }
    let result = await host.with { () async -> Result<StopReason, ServiceError> in
        do throws(ServiceError) { return .success(try await root.run()) } catch { return .failure(error) }
    }
    _ = try result.get()
}

/// The loop of a managed process whose body blocks. The process has one loop, however many trees it runs: a loop can
/// become the executor of a process only once.
private enum TreeLoop {
    private static let made = Mutex<(process: UInt64, loop: EventLoop)?>(nil)

    static func ofThisProcess(supervisorPipe: Int32) throws(SystemError) -> EventLoop {
        let process = UInt64(ForkCount.current)
        if let known = made.withLock({ $0?.process == process ? $0?.loop : nil }) { return known }
        let loop = try EventLoop()
        // A body that has used tasks before has started threads, which have their executor already.
        if threadCount() == 1 { loop.becomeProcessExecutor() }
        try loop.onEnd(of: supervisorPipe) { exitChild(code: 1) }
        made.withLock { $0 = (process, loop) }
        return loop
    }
}
