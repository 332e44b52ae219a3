// Carries out the stop ladder of a child.

import PreforkEventLoop
import PreforkSystem
import Synchronization

extension WatchedChild {
    /// Begins a stop ladder. It replaces one in progress, but keeps its reason. Runs on the loop.
    func stop(_ plan: StopPlan, reason: Subprocess.Exit.Reason) {
        guard exit == nil else { return }
        if ladder == nil { self.reason = reason }
        endLadder()
        ladder = StopLadder(plan)
        climb()
    }

    private func climb() {
        guard let rung = ladder?.climb(), let target = ladder?.plan.target else { return }
        switch rung {
        case .send(let signal, let grace):
            do {
                try send(signal, to: target)
                // A stopped process takes SIGTERM only when it is resumed.
                if signal != .kill { try send(.resume, to: target) }
            } catch {
                return fail(error)
            }
            ladderCall = loop.call(after: grace) { [self] in
                if exit == nil || hasLeftOthers { climb() } else { endLadder() }
            }
        case .failed:
            if exit == nil { fail(SystemError("waitid", .timedOut, on: "process \(child.pid) after SIGKILL")) }
            endLadder()
        }
    }

    private func fail(_ error: SystemError) {
        endLadder()
        if exit == nil { reason = .own }
        let failure = StopError(pid: child.pid, underlying: error)
        let waiters = state.withLock { $0.fail(failure) }
        for waiter in waiters { waiter.resume(returning: .unstoppable(failure)) }
    }

    func endLadder() {
        ladderCall?.cancel()
        ladderCall = nil
        ladder = nil
    }

    /// Whether the ladder, when the child is gone, still has other processes to reach: in the child's group (which
    /// cannot be checked safely on a kernel before 6.9) or in its control group.
    var hasLeftOthers: Bool {
        guard let target = ladder?.plan.target, target != .process else { return false }
        if leadsGroup, (try? child.sendToGroup(.none, isReaped: true)) == true { return true }
        guard target == .tree, let controlGroup, controlGroup.isExclusive else { return false }
        return hasMembers(controlGroup: controlGroup.path.bytes)
    }

    /// Without a pidfd that keeps it (Linux before 6.9), the group's number may belong to another group once the child
    /// has been reaped: what a stopped child's group has left is ended now instead of after the rest of the grace.
    func endGroupWhileItsNumberIsSafe() {
        guard let ladder, ladder.plan.target != .process, leadsGroup, !child.reachesGroupForEver, child.hasEnded
        else { return }
        _ = try? child.sendToGroup(.kill, isReaped: false)
    }

    /// Sends a signal, but never to a process that was reaped, nor to a stranger that has its number. From any thread.
    func send(_ signal: Signal, to target: SignalTarget) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            let isReaped = state.exit != nil
            switch target {
            case .process:
                if !isReaped { try child.send(signal) }
            case .group:
                let reached = leadsGroup ? try child.sendToGroup(signal, isReaped: isReaped) : false
                // It may have left its own group for another one.
                if !isReaped, !reached || signal == .kill { try child.send(signal) }
            case .tree:
                try sendToTree(signal, isReaped: isReaped)
            }
        }
    }

    private func sendToTree(_ signal: Signal, isReaped: Bool) throws(SystemError) {
        if !isReaped {
            ProcessTree.signalDescendants(of: child, signal)
            try child.send(signal)
        }
        guard signal == .kill else { return }
        if leadsGroup { try child.sendToGroup(signal, isReaped: isReaped) }
        if let controlGroup, controlGroup.isExclusive { killMembers(ofControlGroup: controlGroup.path.bytes) }
    }
}
