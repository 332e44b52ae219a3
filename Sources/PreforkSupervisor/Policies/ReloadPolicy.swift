// How a reload goes through the pool.

/// How a reload goes through the pool.
public struct ReloadPolicy: Equatable, Sendable {
    /// How many workers a reload replaces at a time, and whether the new or the old one goes first.
    public enum Width: Equatable, Sendable {
        /// A tenth of the pool at a time, at least one: new workers beside the old ones.
        case automatic
        /// So many new workers beside the old ones at a time.
        case surge(Int)
        /// So many places empty at a time: the old worker ends first. For workers that need most of the memory. If a
        /// new worker fails, its slot stays empty until the worker can be restarted.
        case unavailable(Int)
    }

    /// How many workers are replaced at a time.
    public var width: Width
    /// Generations that live at once, draining ones included. At least two. See haproxy's mworker-max-reloads, and
    /// ingress-nginx #1088, where draining workers piled up. A reload that would add a generation waits for the workers
    /// of the oldest one. These are killed after six seconds, or after the drain timeout if it is shorter.
    public var generations: Int

    /// How long new workers must hold after the last of them is ready. Then the reload is over, and an upgrade can no
    /// longer be rolled back by itself. A new worker that ends by itself meanwhile, other than in a request, aborts the
    /// reload. Zero: a reload is over when the last worker is ready.
    public var probation: Duration

    /// - Parameters:
    ///   - generations: at least two.
    ///   - probation: not below zero.
    public init(width: Width = .automatic, generations: Int = 3, probation: Duration = .seconds(5)) {
        self.width = width
        self.generations = generations
        self.probation = probation
    }

    func slotsAtOnce(of workers: Int) -> Int {
        switch width {
        case .automatic: max(1, workers / 10)
        case .surge(let count), .unavailable(let count): max(1, count)
        }
    }

    var endsOldFirst: Bool { if case .unavailable = width { true } else { false } }
}
