// Operators that wait for the end of what they have asked the pool for.

import PreforkSystem

/// What a client of the control socket waits for.
enum CommandWait: Equatable {
    /// A reload to this generation or a later one is over.
    case reload(generation: Int)
    /// The worker of a slot was replaced, or could not be.
    case replacement(slot: Int)
    /// The new worker of a slot whose last one had ended is ready, or has failed.
    case start(slot: Int)
    /// A worker that was asked to finish ends.
    case end(slot: Int, pid: Int32)
    /// A worker that was killed ends.
    case death(slot: Int, pid: Int32)
    /// The desired number of workers is ready, and surplus workers have ended.
    case size(Int)

    /// - Parameter pool: after the command.
    init?(_ command: ControlCommand, in pool: Pool) {
        switch command {
        case .reload:
            // One that waits for the present reload to end is of the generation after it.
            self = .reload(generation: pool.reload?.isWantedAgain == true ? pool.generation + 1 : pool.generation)
        case .restart(let slot):
            let isReplaced = pool.slots.indices.contains(slot) && pool.slots[slot].replacement != nil
            self = isReplaced ? .replacement(slot: slot) : .start(slot: slot)
        case .drain(let slot):
            guard pool.slots.indices.contains(slot), let worker = pool.slots[slot].leaving.last?.worker else {
                return nil
            }
            self = .end(slot: slot, pid: worker.pid)
        case .kill(let slot):
            guard pool.slots.indices.contains(slot), let worker = pool.slots[slot].worker else { return nil }
            self = .death(slot: slot, pid: worker.pid)
        case .scale:
            self = .size(pool.target)
        default:
            return nil
        }
    }

    /// The end, where there is nothing to wait for.
    func isOver(in pool: Pool) -> ControlOutcome? {
        guard case .size = self else { return nil }
        // A slot whose worker has ended for good gets no further worker.
        let isSettled = pool.slots.allSatisfy { slot in
            slot.isRetired ? slot.isFinal : slot.isReady || slot.state == .ended
        }
        return isSettled ? .done("\(pool.slots.count(where: \.isReady)) workers serve") : nil
    }

    /// The result. If nil, it is still in progress.
    ///
    /// - Parameter pool: its present state, which may be later than the report.
    func outcome(of report: PoolReport, in pool: Pool) -> ControlOutcome? {
        switch (self, report) {
        case (_, .stopping):
            .failed("the pool is stopping")
        case (.reload(let wanted), .reloadFinished(let generation, let after)) where wanted <= generation:
            .done("generation \(generation) serves, after \(after.short)")
        case (.reload(let wanted), .reloadAborted(let generation, let replaced, let total, let reason))
        where wanted <= generation && replaced == total:
            .failed("the new workers serve, but \(reason)")
        case (.reload(let wanted), .reloadAborted(let generation, let replaced, let total, let reason))
        where wanted <= generation:
            .failed("\(total - replaced) of \(total) old workers stay: \(reason)")
        case (.replacement(let slot), .replaced(let place, let old, let new, _)) where place == slot:
            .done("worker \(slot): pid \(new) has replaced pid \(old)")
        case (.replacement(let slot), .replacementFailed(let place, let reason, _)) where place == slot:
            .failed("worker \(slot) stays, its replacement failed: \(reason)")
        case (.replacement(let slot), .replacementDropped(let place, let reason)) where place == slot:
            .failed("worker \(slot) will not be replaced: \(reason)")
        case (.start(let slot), .ready(let place, let pid, _, _)) where place == slot:
            .done("worker \(slot): pid \(pid) serves")
        case (.start(let slot), .exited(let exit)) where exit.taskID == slot && !exit.wasReady:
            .failed("worker \(slot) (pid \(exit.pid)) \(exit.status) before it was ready")
        case (.start(let slot), .forkFailed(let place, let reason, let delay)) where place == slot:
            .failed("worker \(slot) could not be forked (next try in \(delay.short)): \(reason)")
        case (.end(let slot, let pid), .exited(let exit)) where exit.pid == pid:
            exit.killReason.map { .failed("worker \(slot) (pid \(pid)) \(exit.status): \($0)") }
                ?? .done("worker \(slot) (pid \(pid)) \(exit.status)")
        case (.death(let slot, let pid), .exited(let exit)) where exit.pid == pid:
            .done("worker \(slot) (pid \(pid)) \(exit.status)")
        case (.size(let count), .scaled) where pool.target != count:
            .failed("the pool is now scaling to \(pool.target) workers")
        default:
            isOver(in: pool)
        }
    }
}

/// The clients that wait, and how to answer them.
struct CommandWaits {
    typealias Body = (ControlOutcome) -> Void
    private var waits: [(wait: CommandWait, body: Body)] = []

    mutating func add(_ wait: CommandWait, _ body: @escaping Body) {
        waits.append((wait, body))
    }

    /// Takes out the clients whose wait this ends.
    ///
    /// - Returns: what to answer them.
    mutating func end(_ report: PoolReport, in pool: Pool) -> [(body: Body, outcome: ControlOutcome)] {
        if waits.isEmpty { return [] }
        var over: [(Body, ControlOutcome)] = []
        waits.removeAll { waiting in
            guard let outcome = waiting.wait.outcome(of: report, in: pool) else { return false }
            over.append((waiting.body, outcome))
            return true
        }
        return over
    }
}
