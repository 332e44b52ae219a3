// Deaths that the kernel's out-of-memory killer has caused.

import PreforkSystem

/// Assigns the steps of the kernel's counter to children that died by SIGKILL. The kernel counts its victims and does
/// not name them.
///
/// A death takes one step. A step that no death takes within `lapse` was for a process that is not a child of the
/// supervisor, for example a program that a worker has started.
struct OutOfMemoryVerdicts: Equatable {
    /// Longer than the end of a process with much memory takes. The kernel counts a victim before it sends SIGKILL.
    static let lapse = Duration.seconds(2)

    private struct Steps: Equatable {
        var seen: MonotonicInstant
        var count: UInt64
    }

    private var counter: UInt64?
    /// Oldest first.
    private var unclaimed: [Steps] = []

    /// - Parameter counter: its value now, or nil if the kernel has none.
    init(counter: UInt64?) {
        self.counter = counter
    }

    /// Takes notice of the counter's value.
    mutating func note(_ value: UInt64?, at now: MonotonicInstant) {
        unclaimed.removeAll { now - $0.seen >= Self.lapse }
        // A smaller value: the group was made anew.
        if let value, let counter, value > counter { unclaimed.append(Steps(seen: now, count: value - counter)) }
        counter = value ?? counter
    }

    /// A child that the supervisor did not kill has died by SIGKILL.
    ///
    /// - Parameter value: the counter's value after the death.
    /// - Returns: whether the killer may have been the kernel.
    mutating func claim(_ value: UInt64?, at now: MonotonicInstant) -> Bool {
        note(value, at: now)
        guard !unclaimed.isEmpty else { return false }
        unclaimed[0].count -= 1
        if unclaimed[0].count == 0 { unclaimed.removeFirst() }
        return true
    }
}

/// Keeps the verdicts up to date with the kernel's counter.
final class OutOfMemoryJudge {
    /// In version 1 the kernel tells before it counts.
    private static let delay = Duration.milliseconds(20)

    private let kills: OutOfMemoryKills
    private let watch: OutOfMemoryWatch?
    private var verdicts: OutOfMemoryVerdicts
    /// When `look` has something to do.
    private(set) var nextLook: MonotonicInstant?

    init(_ kills: OutOfMemoryKills = OutOfMemoryKills()) {
        self.kills = kills
        verdicts = OutOfMemoryVerdicts(counter: kills.current())
        do throws(SystemError) {
            watch = try OutOfMemoryWatch(kills)
        } catch {
            // Steps are then seen at the next death by SIGKILL. No step lapses before that.
            watch = nil
        }
    }

    /// Readable when the counter has risen or is about to. If nil, the kernel does not tell.
    var descriptor: Int32? { watch?.number }

    /// The descriptor is readable. A child can bring this about, so that the counter is not read each time.
    func noteNews(at now: MonotonicInstant) {
        watch?.clear()
        if nextLook == nil { nextLook = now + Self.delay }
    }

    func look(at now: MonotonicInstant) {
        guard let due = nextLook, due <= now else { return }
        nextLook = nil
        verdicts.note(kills.current(), at: now)
    }

    /// See `OutOfMemoryVerdicts.claim`.
    ///
    /// - Parameter isCertain: what the child's own control group says. If it is not nil, that holds, and a step is taken
    ///   only if the kernel was the killer.
    func claim(at now: MonotonicInstant, isCertain: Bool? = nil) -> Bool {
        if isCertain == false { return false }
        return verdicts.claim(kills.current(), at: now)
    }
}
