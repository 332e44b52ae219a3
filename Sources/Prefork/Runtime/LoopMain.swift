// The life of a forked process that has a loop: its signals, its body, its end.

import PreforkChannels
import PreforkEventLoop
import PreforkServices
import PreforkSystem

/// Runs an async body as the whole life of a forked process, a worker or a managed one. Signals are blocked on entry.
struct LoopMain {
    /// For the log.
    let name: String
    /// Reads the end when the supervisor is gone.
    let supervisorPipe: Int32
    /// The signals that must be blocked.
    let signalMask: SignalSet
    /// From SIGTERM to the supervisor's SIGKILL.
    let drainTimeout: Duration
    /// From SIGINT to the supervisor's SIGKILL.
    let quickTimeout: Duration
    let executor: ForkRuntime.Executor
    /// Called when the process begins to finish.
    var onStop: () -> Void = {}
    /// Called once, when the process stops waiting for what it has in hand.
    var onCutOff: (_ isQuick: Bool) -> Void = { _ in }
    /// The end that the supervisor has asked for. If nil, it has not asked. It writes this before it sends the signal.
    let orderedStop: () -> StopRequest.Reach?

    private final class StopSignal {
        /// The signal that asked for the end although the supervisor did not: another process sent it.
        var unsolicited: Signal?
        var handsOver = false
        var hasCutOff = false
    }

    private let stopSignal = StopSignal()

    init(
        name: String, supervisorPipe: Int32, signalMask: SignalSet, drainTimeout: Duration,
        quickTimeout: Duration = .seconds(2), executor: ForkRuntime.Executor,
        orderedStop: @escaping () -> StopRequest.Reach?
    ) {
        self.name = name
        self.supervisorPipe = supervisorPipe
        self.signalMask = signalMask
        self.drainTimeout = drainTimeout
        self.quickTimeout = quickTimeout
        self.executor = executor
        self.orderedStop = orderedStop
    }

    /// - Parameter prepare: called with the loop before it runs. It makes the body, which returns the exit code.
    func run(_ prepare: (EventLoop) -> @Sendable () async throws -> Int32) -> Never {
        Nursery.prepare()
        do {
            let loop = try EventLoop()
            if executor == .wholeProcess { loop.becomeProcessExecutor() }
            loop.idleLinger = min(drainTimeout.part(of: 2), .seconds(5))
            let body = prepare(loop)
            try loop.onEnd(of: supervisorPipe) { exitChild(code: 1) }
            let whole: @Sendable () async throws -> Int32 = {
                let code = try await body()
                await ChannelSuccession.finishCallbacks()
                return code
            }
            let code = try outcome(of: whole, on: loop)
            ChannelSuccession.processEnds()
            exitChild(code: code)
        } catch {
            CrashMark.waitForEndOfCrash()
            reportFailure(of: name, error)
            exitChild(code: 1)
        }
    }

    /// Runs `body` on `loop`, with this process's signals.
    ///
    /// - Returns: the exit code that its end is.
    /// - Throws: what the body has thrown that is neither cancellation nor the end of a tree of services.
    func outcome(of body: @escaping @Sendable () async throws -> Int32, on loop: EventLoop) throws -> Int32 {
        let (wishes, observer) = Self.hostServices(on: loop)
        // A managed process may run one tree after another on its loop.
        defer { loop.stopRequest.removeObserver(observer) }
        do {
            let code = try loop.run({ try await Self.finishing(body) }) { task in
                listenToSignals(on: loop, task, wishes)
            }
            if code != 0 { return code }
        } catch is CancellationError {
            // How a body ends that was cancelled because the drain timeout is near, or by a quick stop.
        } catch let error as ServiceError {
            // A tree's error that is only a cancellation has no exit code, either.
            if error.exitCode != 0 {
                reportFailure(of: name, error)
                return error.exitCode
            }
        }
        // A process that another process ended is lost, not done: it gets a successor. 128 + n, as shells say.
        return stopSignal.unsolicited.map { 128 + $0.rawValue } ?? 0
    }

    /// Runs `body`, and when this process was asked to stop lets callbacks finish what they have in hand.
    private static func finishing(_ body: @Sendable () async throws -> Int32) async throws -> Int32 {
        let result: Result<Int32, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        if ProcessStop.isRequested { await WorkInHand.finish() }
        return try result.get()
    }

    /// For the log of the supervising process at its start: workers and managed processes have more threads than they
    /// should. Nil where a loop can be the executor of its process.
    static var executorWarning: String? {
        ProcessExecutor.absence.map {
            "workers and managed processes use Swift's thread pool beside their event loops: \($0) "
                + "(the manual's page \"Without the process executor\" says what differs)"
        }
    }

    private func cutOff(_ task: Task<Void, Never>, isQuick: Bool) {
        if !stopSignal.hasCutOff { onCutOff(isQuick) }
        stopSignal.hasCutOff = true
        task.cancel()
        Blocking.abandonAll()
    }

    /// Signals have been blocked since before the fork. A signal that came meanwhile is read now, so that no signal is
    /// lost.
    private func listenToSignals(on loop: EventLoop, _ task: Task<Void, Never>, _ wishes: StopWishes) {
        do {
            try loop.onStopSignals([.terminate, .quit, .interrupt]) { signal in
                let reach = orderedStop()
                // A signal to the whole group comes here first, and then the supervisor's own.
                stopSignal.unsolicited = reach == nil ? signal : nil
                onStop()
                if reach != nil, !stopSignal.handsOver {
                    stopSignal.handsOver = true
                    ChannelSuccession.processLeaves(on: loop)
                }
                wishes.wish(.signal(signal.rawValue), within: treeLimit(after: signal))
                loop.stopRequest.request(reach ?? .worker)
                if signal == .interrupt {
                    cutOff(task, isQuick: true)
                } else {
                    loop.call(after: drainTimeout - margin(of: drainTimeout)) { cutOff(task, isQuick: false) }
                }
            }
            SignalMask.restore(signalMask.union([.terminate, .quit, .interrupt]))
        } catch {
            // No descriptor left for signals: a process that cannot be stopped must not start.
            reportFailure(of: name, error)
            exitChild(code: 1)
        }
    }
}

/// A line on standard error: the exit code alone says little. A tree of services has further lines, one for each
/// service that failed.
func reportFailure(of name: String, _ error: any Error) {
    StandardErrorLines.say("error", "\(name) failed: \(error)", by: "failure", hasMoreLines: error is ServiceError)
}
