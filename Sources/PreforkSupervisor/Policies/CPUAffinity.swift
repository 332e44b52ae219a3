// Which processors a worker runs on.

package import PreforkSystem

/// How the workers of a pool are spread over processors.
///
/// Pinning keeps caches warm where the machine belongs to the service alone; where it does not, it keeps a worker from
/// going to a processor that is free.
public enum CPUAffinity: Hashable, Sendable {
    /// The kernel decides.
    case none
    /// Worker i on the i-th processor that the supervisor may use; with more workers than processors it begins again.
    case perWorker
    /// All workers on these processors.
    case processors([Int])
}

extension CPUAffinity {
    /// The processors for one worker.
    ///
    /// - Parameters:
    ///   - worker: its task ID, not below zero.
    ///   - allowed: those of the supervisor's own mask. What is not among them is never asked for.
    /// - Returns: nil: leave them as they are.
    package func processors(worker: Int, allowed: [Int]) -> [Int]? {
        switch self {
        case .none: return nil
        case .perWorker:
            // One for everybody is no choice.
            guard allowed.count > 1, worker >= 0 else { return nil }
            return [allowed[worker % allowed.count]]
        case .processors(let wanted):
            let possible = wanted.filter(allowed.contains)
            return possible.isEmpty ? nil : possible
        }
    }

    /// Runs in a new worker, before its threads.
    package func apply(worker: Int) throws(SystemError) {
        if self == .none { return }
        guard let chosen = processors(worker: worker, allowed: try ProcessorAffinity.allowed()) else { return }
        try ProcessorAffinity.set(chosen)
    }
}
