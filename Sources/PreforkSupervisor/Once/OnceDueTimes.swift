// The due times of a once-task, one after the other. A value that knows no clock.

package import PreforkSystem

/// One instant, by both clocks.
package struct OnceInstant: Equatable, Sendable {
    package var monotonic: MonotonicInstant
    /// Milliseconds since 1970, as the clock is set at that instant.
    package var wall: Int64

    package init(monotonic: MonotonicInstant, wall: Int64) {
        self.monotonic = monotonic
        self.wall = wall
    }

    package static var now: OnceInstant { OnceInstant(monotonic: .now, wall: WallClock.milliseconds) }

    fileprivate func wall(of instant: MonotonicInstant) -> Int64 {
        wall + (instant - monotonic).saturatedNanoseconds / 1_000_000
    }
}

/// Due times that have come since the last look.
struct ArrivedDueTimes: Equatable {
    /// The number of the last one. The first due time of a task has number 1.
    var last: UInt64
    /// How many there are, the last one included.
    var count: UInt64
    /// The first one and the last one, in milliseconds since 1970.
    var first: Int64
    var scheduled: Int64
    /// How long ago its run should have begun.
    var lateness: Duration
}

/// Which due time comes next.
///
/// Intervals are counted on the monotonic clock from the start of the schedule on: a late run moves no later due time,
/// and setting the clock changes nothing. Cron schedules and aligned intervals follow the wall clock. When that is set
/// forward, the due times that it leaves out have come. When it is set back by up to three hours, those that have come
/// do not come again. When it is set back further, the clock was wrong before, and the schedule begins anew at the new
/// time. The limit is that of cron(8).
struct OnceDueTimes: Equatable {
    /// At most so many due times of a cron schedule are counted one by one in one look.
    private static let most = 1_000
    private static let largestStep: Int64 = 3 * 3_600_000

    let schedule: OnceSchedule
    let jitter: Duration
    private(set) var count: UInt64
    /// Nanoseconds of the monotonic clock (`.every`), milliseconds since 1970 (`.aligned`), or seconds since 1970.
    private var next: Int64
    /// How much later the run of the next one begins.
    private var delay: Duration = .zero
    /// The latest wall clock that was seen, in milliseconds. Only forward steps and small backward steps keep it.
    private var latest: Int64

    /// - Parameters:
    ///   - count: how many due times the task has had before.
    ///   - anchor: a due time of an interval that has come before, in nanoseconds of the monotonic clock.
    init(
        _ settings: OnceSettings, count: UInt64 = 0, anchor: Int64? = nil, at now: OnceInstant,
        using random: inout SplitMix64
    ) {
        schedule = settings.schedule
        jitter = settings.jitter
        self.count = count
        latest = now.wall
        switch settings.schedule {
        case .every(let interval):
            let interval = interval.saturatedNanoseconds
            let start = min(anchor ?? now.monotonic.nanoseconds, now.monotonic.nanoseconds)
            // The grid of before, without what has come there meanwhile: see `OnceTask.inherit`.
            next = start + interval
        case .aligned(let interval): next = Self.multiple(of: interval, after: now.wall)
        case .cron(let schedule): next = schedule.next(after: now.wall.seconds)
        }
        drawDelay(using: &random)
    }

    /// The due time before the next one, for the next image of the program.
    var anchor: Int64? {
        if case .every(let interval) = schedule { next - interval.saturatedNanoseconds } else { nil }
    }

    /// For the next image of the program: due times by the wall clock from this one on have not come yet. Seconds of a
    /// cron schedule, milliseconds of an aligned interval.
    var nextSecond: Int64? { schedule.isByWallClock ? next : nil }

    /// Continues a schedule of the wall clock where the previous image has left it. What has come meanwhile arrives with
    /// the next look.
    mutating func continueFrom(second: Int64) {
        switch schedule {
        case .every: break
        case .aligned(let interval): next = min(next, Self.multiple(of: interval, after: second - 1))
        case .cron(let schedule): next = min(next, schedule.next(after: second - 1))
        }
    }

    /// - Parameter interval: whole milliseconds, above zero (`OnceSettings.check`).
    private static func multiple(of interval: Duration, after wall: Int64) -> Int64 {
        let step = max(1, interval.saturatedNanoseconds / 1_000_000)
        return (wall.dividedDown(by: step) + 1) * step
    }

    private mutating func drawDelay(using random: inout SplitMix64) {
        let limit = jitter.saturatedNanoseconds / 1_000
        delay = limit <= 0 ? .zero : .microseconds(Int64(random.next() % UInt64(limit + 1)))
    }

    /// When the next run should begin, by the monotonic clock, as far as the wall clock tells now.
    func deadline(at now: OnceInstant) -> MonotonicInstant {
        switch schedule {
        case .every: MonotonicInstant(nanoseconds: next) + delay
        case .aligned: now.monotonic + .milliseconds(next - now.wall) + delay
        case .cron: now.monotonic + .milliseconds(next * 1_000 - now.wall) + delay
        }
    }

    /// The next due time in milliseconds since 1970, with its delay.
    func nextWall(at now: OnceInstant) -> Int64 { now.wall(of: deadline(at: now)) }

    /// Takes what has come.
    ///
    /// - Returns: what has arrived, or nil. `setBack` is true if the wall clock was set back so far that the schedule
    ///   began anew.
    mutating func take(
        at now: OnceInstant, using random: inout SplitMix64
    ) -> (arrived: ArrivedDueTimes?, setBack: Bool) {
        var setBack = false
        if schedule.isByWallClock {
            if now.wall < latest - Self.largestStep {
                setBack = true
                latest = now.wall
                beginAnew(at: now.wall)
            }
            latest = max(latest, now.wall)
        }
        let lateness = now.monotonic - deadline(at: now)
        if lateness < .zero { return (nil, setBack) }
        let (before, first) = (count, wall(of: next, at: now))
        let last = advance(to: now)
        drawDelay(using: &random)
        let arrived = ArrivedDueTimes(
            last: count, count: count - before, first: first, scheduled: last, lateness: lateness)
        return (arrived, setBack)
    }

    private func wall(of next: Int64, at now: OnceInstant) -> Int64 {
        switch schedule {
        case .every: now.wall(of: MonotonicInstant(nanoseconds: next))
        case .aligned: next
        case .cron: next * 1_000
        }
    }

    /// Each of the last due times that have arrived, in milliseconds since 1970.
    ///
    /// - Parameter count: of them, at most those that have arrived.
    func times(of arrived: ArrivedDueTimes, last count: Int) -> [Int64] {
        switch schedule {
        case .every(let interval), .aligned(let interval):
            let interval = interval.saturatedNanoseconds
            return (0..<count).reversed().map { arrived.scheduled - Int64($0) * interval / 1_000_000 }
        case .cron(let schedule):
            var times = [arrived.first]
            while times.count < min(Int(clamping: arrived.count), Self.most) {
                times.append(schedule.next(after: times[times.count - 1].seconds) * 1_000)
            }
            return times.suffix(count)
        }
    }

    private mutating func beginAnew(at wall: Int64) {
        switch schedule {
        case .every: break
        case .aligned(let interval): next = Self.multiple(of: interval, after: wall)
        case .cron(let schedule): next = schedule.next(after: wall.seconds)
        }
    }

    /// - Returns: the last due time that has come, in milliseconds since 1970.
    private mutating func advance(to now: OnceInstant) -> Int64 {
        switch schedule {
        case .every(let interval):
            let interval = interval.saturatedNanoseconds
            let more = max(0, now.monotonic.nanoseconds - next) / interval
            let last = next + more * interval
            next = last + interval
            count += UInt64(more) + 1
            return now.wall(of: MonotonicInstant(nanoseconds: last))
        case .aligned(let interval):
            let step = max(1, interval.saturatedNanoseconds / 1_000_000)
            let more = max(0, now.wall - next) / step
            let last = next + more * step
            next = last + step
            count += UInt64(more) + 1
            return last
        case .cron(let schedule):
            var last = next
            next = schedule.next(after: last)
            count += 1
            var steps = 1
            while next <= now.wall.seconds, steps < Self.most {
                last = next
                next = schedule.next(after: last)
                count += 1
                steps += 1
            }
            if next <= now.wall.seconds { next = schedule.next(after: now.wall.seconds) }
            return last * 1_000
        }
    }
}

extension Int64 {
    /// Of milliseconds.
    fileprivate var seconds: Int64 { dividedDown(by: 1_000) }

    fileprivate func dividedDown(by step: Int64) -> Int64 { self / step - (self % step < 0 ? 1 : 0) }
}
