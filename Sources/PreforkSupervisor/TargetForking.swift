// The forks of managed processes, on both sides.

import PreforkSystem

/// What a managed process must not keep of the worker pool's supervisor beside which it runs.
final class TargetHost {
    /// The signals that were blocked before supervision began.
    let signalMask: SignalSet
    /// The pool's words, which a managed process must not write.
    let orders: SupervisorOrders
    /// In the child: keeps the supervisor's object from closing anything, and tells what it has open.
    let leaveToChild: () -> [Int32]

    init(signalMask: SignalSet, orders: SupervisorOrders, leaveToChild: @escaping () -> [Int32]) {
        self.signalMask = signalMask
        self.orders = orders
        self.leaveToChild = leaveToChild
    }
}

extension TargetRunner {
    /// Does not return in the child.
    func fork(_ number: Int, spawn: UInt64, generation: Int) -> TargetEvent {
        let threads = threadCount()
        guard threads == 1 else { return refused(number, ProcessError(.multithreaded(threads: threads))) }
        if let line = lines[number] { scoreboard.clear(line: line) }
        let bell = bells.add(UInt64(number), by: epoll, word: Source.bell | UInt64(number), at: .now)
        let mask = SignalMask.block(.all)
        do {
            switch try forkProcess() {
            case .parent(let child):
                SignalMask.restore(mask)
                children[number] = .watched(child, by: epoll, word: UInt64(number))
                return .forked(number, pid: child, spawn: spawn)
            case .child:
                becomeTarget(number, spawn: spawn, generation: generation, signalMask: mask, bell: bell)
            }
        } catch {
            SignalMask.restore(mask)
            bells.remove(UInt64(number), from: epoll)
            return refused(number, ProcessError(.fork, error))
        }
    }

    private func refused(_ number: Int, _ error: ProcessError) -> TargetEvent {
        lastForkError = error
        return .forkFailed(number, reason: "\(error)")
    }

    /// Runs in the child, where the parent's calls are still on the stack and never return. Signals stay blocked: only
    /// the body knows when it can take them.
    private func becomeTarget(
        _ number: Int, spawn: UInt64, generation: Int, signalMask: SignalSet, bell: Doorbell?
    ) -> Never {
        let unneeded = leaveToChild() + (host?.leaveToChild() ?? [])
        guard let target = table.targets[number], let body = bodies[number], let line = lines[number]
        else { exitChild(code: 70) }
        let orders = [scoreboard.orders] + (host.map { [$0.orders] } ?? [])
        let doorbell = SupervisedChild.enter(target.name, of: pid, closing: unneeded, bell: bell, reading: orders)
        ControlDesk.enter(
            ControlDesk.Sender(scoreboard: scoreboard, line: line, doorbell: doorbell, lifeline: lifeline.number))
        let seat = TargetSeat(
            name: target.name, generation: generation, control: controlLine(to: number),
            supervisorPipe: lifeline.number, signalMask: host?.signalMask ?? signals?.maskBefore ?? signalMask,
            grace: target.settings.grace, scoreboard: scoreboard, line: line, spawn: spawn, doorbell: doorbell)
        exitChild(code: body(seat))
    }

    /// In a child, a managed one or a worker: what it must not keep open. From here on this copy of the object never
    /// ends, because its descriptors' numbers will belong to others.
    func leaveToChild() -> [Int32] {
        _ = Unmanaged.passRetained(self)
        var numbers = children.values.compactMap(\.pidfdNumber)
        numbers += [epoll.descriptor.number, inbox.button.descriptor.number, lifelineHold.number]
        numbers += bells.numbers + scoreboard.descriptors
        if let signals { numbers.append(signals.number) }
        return numbers
    }
}
