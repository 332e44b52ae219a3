// When a pool grows and shrinks by itself.

import PreforkSystem

/// When a pool grows and shrinks by itself.
///
/// It grows when its workers were busy, or connections waited, at several looks in a row, and shrinks, one worker at a
/// time, when fewer would have been less busy than half of what makes it grow for much longer: what makes it grow and
/// what makes it shrink are far apart, so that it does not swing.
public struct ScalingPolicy: Equatable, Sendable {
    /// How many workers there are at least and at most. Without both the pool does not scale by itself.
    public var minimum: Int?
    /// The largest number of workers. If nil, the pool does not scale by itself.
    public var maximum: Int?
    /// Share of the workers' time spent on the processor, 0 ... 1, from which more are wanted.
    public var busy: Double
    /// Connections waiting to be accepted, for each worker, from which more are wanted.
    public var backlog: Double
    /// How long either must last before the pool grows, by a quarter of itself.
    public var growAfter: Duration
    /// How long it must have had too many before it loses one.
    public var shrinkAfter: Duration

    /// If `workers` is nil, the pool does not scale by itself unless `PREFORK_MIN_WORKERS` and `PREFORK_MAX_WORKERS`
    /// are set.
    public init(
        workers: ClosedRange<Int>? = nil, busy: Double = 0.8, backlog: Double = 4, growAfter: Duration = .seconds(3),
        shrinkAfter: Duration = .seconds(30)
    ) {
        minimum = workers?.lowerBound
        maximum = workers?.upperBound
        self.busy = busy
        self.backlog = backlog
        self.growAfter = growAfter
        self.shrinkAfter = shrinkAfter
    }

    /// The bounds between which the pool scales by itself. If nil, it does not.
    public var workers: ClosedRange<Int>? {
        guard let minimum, let maximum, 1 <= minimum, minimum <= maximum else { return nil }
        return minimum...maximum
    }
}

/// How long the load has been what it is.
struct ScalerState: Equatable {
    var highSince: MonotonicInstant?
    var lowSince: MonotonicInstant?

    /// How many workers there should be.
    mutating func decide(
        _ policy: ScalingPolicy, within range: ClosedRange<Int>, workers: Int, busy: Double, backlog: Int,
        at now: MonotonicInstant
    ) -> Int {
        let isHigh = busy >= policy.busy || Double(backlog) >= policy.backlog * Double(workers)
        let busyWithOneLess = workers > 1 ? busy * Double(workers) / Double(workers - 1) : .infinity
        let isLow = !isHigh && backlog == 0 && busyWithOneLess < policy.busy / 2
        highSince = isHigh ? highSince ?? now : nil
        lowSince = isLow ? lowSince ?? now : nil
        var wanted = workers
        if let highSince, now - highSince >= policy.growAfter {
            wanted += max(1, workers / 4)
            self.highSince = nil
        } else if let lowSince, now - lowSince >= policy.shrinkAfter {
            wanted -= 1
            self.lowSince = nil
        }
        return min(max(wanted, range.lowerBound), range.upperBound)
    }
}

/// Why a pool has another number of workers.
enum ScalingCause: Equatable {
    /// An operator asked for it.
    case asked
    /// The program of an upgrade has another number of workers.
    case program
    /// How busy the workers were, in percent, and how many connections waited.
    case load(busy: Int, waiting: Int)
}
