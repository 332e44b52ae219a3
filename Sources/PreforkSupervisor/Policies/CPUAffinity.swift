// The processors that a worker runs on.

package import PreforkSystem

/// How the workers of a pool are spread over processors.
///
/// Pinning keeps caches warm if the service has the machine to itself. Otherwise it keeps workers from moving to a free
/// processor.
public enum CPUAffinity: Hashable, Sendable {
    /// The kernel decides.
    case none
    /// Worker i on the i-th processor that the supervisor may use. With more workers than processors, counting begins
    /// again.
    case perWorker
    /// All workers on these processors.
    case processors([Int])
}

extension CPUAffinity {
    /// The processors for one worker.
    ///
    /// - Parameters:
    ///   - worker: its task ID, not below zero.
    ///   - allowed: the processors of the supervisor's own mask. No other processor is ever requested.
    /// - Returns: The processors. If nil, leave them as they are.
    package func processors(worker: Int, allowed: [Int]) -> [Int]? {
        switch self {
        case .none: return nil
        case .perWorker:
            // One processor for all workers is no pinning.
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
