// The forks of managed processes, on both sides.

import PreforkSystem

/// What a managed process must not keep of the worker pool's supervisor beside which it runs.
final class TargetHost {
    /// The signals that were blocked before supervision began.
    let signalMask: SignalSet
    /// In the child: keeps the supervisor's object from closing anything, and tells what it has open.
    let leaveToChild: () -> [Int32]

    init(signalMask: SignalSet, leaveToChild: @escaping () -> [Int32]) {
        self.signalMask = signalMask
        self.leaveToChild = leaveToChild
    }
}

extension TargetRunner {
    /// Does not return in the child.
    func fork(_ number: Int, spawn: UInt64, generation: Int) -> TargetEvent {
        let threads = threadCount()
        guard threads == 1 else { return refused(number, ProcessError(.multithreaded(threads: threads))) }
        scoreboards[number]?.clear(line: 0)
        scoreboards[number]?.serviceStops = false
        let mask = SignalMask.block(.all)
        do {
            switch try forkProcess() {
            case .parent(let child):
                SignalMask.restore(mask)
                children[number] = .watched(child, by: epoll, word: UInt64(number))
                return .forked(number, pid: child, spawn: spawn)
            case .child:
                becomeTarget(number, spawn: spawn, generation: generation, signalMask: mask)
            }
        } catch {
            SignalMask.restore(mask)
            return refused(number, ProcessError(.fork, error))
        }
    }

    private func refused(_ number: Int, _ error: ProcessError) -> TargetEvent {
        lastForkError = error
        return .forkFailed(number, reason: "\(error)")
    }

    /// Runs in the child, where the parent's calls are still on the stack and never return. Signals stay blocked: only
    /// the body knows when it can take them.
    private func becomeTarget(_ number: Int, spawn: UInt64, generation: Int, signalMask: SignalSet) -> Never {
        let unneeded = leaveToChild() + (host?.leaveToChild() ?? [])
        guard becomeChild(of: pid, closing: unneeded) else { exitChild(code: 0) }
        guard let target = table.targets[number], let body = bodies[number], let scoreboard = scoreboards[number]
        else { exitChild(code: 70) }
        let seat = TargetSeat(
            name: target.name, generation: generation, control: ControlLine(socket: inbox.sending, target: number),
            supervisorPipe: lifeline.number, signalMask: host?.signalMask ?? signals?.maskBefore ?? signalMask,
            grace: target.settings.grace, scoreboard: scoreboard, spawn: spawn, news: news.descriptor.number)
        exitChild(code: body(seat))
    }

    /// In a child, a managed one or a worker: what it must not keep open. From here on this copy of the object never
    /// ends, because its descriptors' numbers will belong to others.
    func leaveToChild() -> [Int32] {
        _ = Unmanaged.passRetained(self)
        var numbers = children.values.compactMap(\.pidfdNumber)
        numbers += [epoll.descriptor.number, inbox.receiving, lifelineHold.number]
        if let signals { numbers.append(signals.number) }
        return numbers
    }
}
