// A profile of workers in progress, as a value.

package import PreforkSystem

/// What an operator asks for.
package struct ProfileOrder: Equatable, Sendable {
    /// How long workers sample themselves.
    package var seconds: Int
    /// Samples for each second of processor time.
    package var rate: Int
    /// One slot's worker alone. If nil, all workers.
    package var slot: Int?

    package init(seconds: Int, rate: Int, slot: Int?) {
        self.seconds = seconds
        self.rate = rate
        self.slot = slot
    }
}

/// One worker's samples since they were last asked for.
package struct ProfiledWorker: Equatable, Sendable {
    package var slot: Int
    package var pid: Int32
    package var samples: [StackSample]
}

/// What is known since it was last asked.
package struct ProfilePart: Equatable, Sendable {
    package var workers: [ProfiledWorker] = []
    /// What happened meanwhile, in words.
    package var notes: [String] = []
    /// Samples that workers took and that were overwritten, or not kept.
    package var lost: UInt64 = 0
    /// There will be no more.
    package var isOver = false
}

/// Which workers take samples, and in which lanes. Decides only.
struct ProfileRun {
    struct Subject: Equatable {
        let spawn: UInt64
        let slot: Int
        let pid: Int32
        let lane: Int
        /// How many samples of its lane are known.
        var position: UInt64 = 0
        var isRefused = false
    }

    /// So long a client may be silent. Then it counts as gone.
    static let grace: Duration = .seconds(3)
    /// Samples of ended workers that wait for the client. More are counted as lost.
    static let mostKept = 4_096

    let number: Int64
    let order: ProfileOrder
    let end: MonotonicInstant
    private var lastAsked: MonotonicInstant
    private(set) var subjects: [UInt64: Subject] = [:]
    private var part = ProfilePart()
    private var kept = 0
    private var hasNotedCrowd = false

    init(number: Int64, _ order: ProfileOrder, at now: MonotonicInstant) {
        self.number = number
        self.order = order
        end = now + .seconds(order.seconds)
        lastAsked = now
    }

    /// Whether another profile may begin.
    func isAbandoned(at now: MonotonicInstant) -> Bool { now >= lastAsked + Self.grace }

    /// How long a worker that begins now has, in whole seconds. Nil when it is over.
    func secondsLeft(at now: MonotonicInstant) -> Int? {
        let left = (end - now).saturatedNanoseconds
        return left <= 0 ? nil : Int(clamping: (left + 999_999_999) / 1_000_000_000)
    }

    /// The lane for a worker that is not sampled yet. Nil if it is, or is not asked for, or no lane is free.
    mutating func lane(for spawn: UInt64, slot: Int) -> Int? {
        guard subjects[spawn] == nil, order.slot == nil || order.slot == slot else { return nil }
        let taken = Set(subjects.values.map(\.lane))
        if let lane = (0..<ProfileLanes.count).first(where: { !taken.contains($0) }) { return lane }
        if !hasNotedCrowd { part.notes.append("only \(ProfileLanes.count) workers at a time are sampled") }
        hasNotedCrowd = true
        return nil
    }

    /// - Parameter isLate: it was not there when the profile began.
    mutating func began(_ subject: Subject, isLate: Bool) {
        subjects[subject.spawn] = subject
        if isLate { part.notes.append("worker \(subject.slot) (pid \(subject.pid)) came in the middle") }
    }

    mutating func read(_ spawn: UInt64, to position: UInt64, _ samples: [StackSample], lost: UInt64) {
        guard var subject = subjects[spawn] else { return }
        subject.position = position
        subjects[spawn] = subject
        part.lost &+= lost
        let room = max(0, Self.mostKept - kept)
        let taken = samples.prefix(room)
        part.lost &+= UInt64(samples.count - taken.count)
        kept += taken.count
        if taken.isEmpty { return }
        if let index = part.workers.firstIndex(where: { $0.pid == subject.pid }) {
            part.workers[index].samples += taken
        } else {
            part.workers.append(ProfiledWorker(slot: subject.slot, pid: subject.pid, samples: Array(taken)))
        }
    }

    mutating func wasRefused(_ spawn: UInt64, _ errno: Errno) {
        guard let subject = subjects[spawn], !subject.isRefused else { return }
        subjects[spawn]?.isRefused = true
        part.notes.append("worker \(subject.slot) (pid \(subject.pid)) has no timer: \(errno)")
    }

    /// The worker was reaped. Its lane is free.
    mutating func ended(_ spawn: UInt64, at now: MonotonicInstant) {
        guard let subject = subjects.removeValue(forKey: spawn) else { return }
        if now < end { part.notes.append("worker \(subject.slot) (pid \(subject.pid)) ended in the middle") }
    }

    /// What is known since the last call.
    mutating func take(at now: MonotonicInstant) -> ProfilePart {
        var taken = part
        taken.isOver = now >= end
        part = ProfilePart()
        kept = 0
        lastAsked = now
        return taken
    }
}
