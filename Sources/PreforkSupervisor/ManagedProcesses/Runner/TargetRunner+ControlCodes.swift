// Codes that reach a manager, and what it says of them.

import PreforkSystem

extension TargetRunner {
    /// Has a target end and starts it again, for an operator.
    ///
    /// - Throws: `.unknown`, `.stopping`, `.multithreaded`: the target keeps running.
    func restart(_ name: String) throws(ProcessError) {
        if table[name] == nil { throw ProcessError(.unknown(name)) }
        if table.isStoppingAll { throw ProcessError(.stopping) }
        _ = try childRights()
        try send(.restart, to: name)
    }

    func takeControls(of number: Int) {
        guard let line = lines[number] else { return }
        receive(bells.takeControls(of: UInt64(number), from: scoreboard.controls(line: line)))
    }

    private func receive(_ words: [UInt64]) {
        for word in words {
            if let packet = ControlPacket(word: word), packet.manager == inbox.manager {
                queue.append(.control(packet.target, code: packet.code, isPaced: true))
            } else if !ManagedOrderRoute.deliver(word) {
                tell(.strayControlPacket(bytes: 8))
            }
        }
    }

    func readInbox() {
        for received in inbox.takeAll() {
            queue.append(.control(received.packet.target, code: received.packet.code, isPaced: !received.isOwn))
        }
        receive(inbox.ring.take(from: &inboxPosition))
    }

    /// The program's own code for one of its targets.
    package func send(_ code: ControlCode, to name: String) throws(ProcessError) {
        guard let number = table.numbers[name] else { throw ProcessError(.unknown(name)) }
        if table[name]?.settings.isOnceTask == true { throw ProcessError(.onceTask(name)) }
        if code == .restart { try checkThreads() }
        // Codes of others that came first are first.
        for number in children.keys.sorted() { takeControls(of: number) }
        readInbox()
        queue.append(.control(number, code: code.rawValue))
    }

    /// An order to restart carries whether this process can fork.
    func withObstacle(_ event: TargetEvent) -> TargetEvent {
        guard case .control(let number, let code, let isPaced, _) = event, ControlCode(rawValue: code) == .restart
        else { return event }
        let threads = threadCount()
        if threads == 1 { return event }
        let obstacle = "\(ProcessError(.multithreaded(threads: threads)))"
        return .control(number, code: code, isPaced: isPaced, obstacle: obstacle)
    }
}
