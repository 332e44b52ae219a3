// Labels of requests that are refused because they crash workers, as a value that neither writes nor reads a clock.

import PreforkSystem

/// Counts crashes by the labels of the requests that were executing, and decides which labels are refused.
///
/// Labels are what workers say. A worker that was taken over can have any label refused by crashing often enough with
/// it, at the price of its own life for each crash: see SECURITY.md. What is kept is bounded.
struct Quarantine: Equatable {
    struct Entry: Equatable {
        let label: ForeignText
        /// If nil, an operator has put it there and must remove it.
        var until: MonotonicInstant?
        /// Those that have brought it here.
        var crashes: Int
    }

    /// Labels that have crashed workers, but not often enough.
    static let mostSuspects = 256
    /// Of one crash: requests can be nested.
    private static let mostLabels = 4

    let policy: QuarantinePolicy?
    private(set) var entries: [Entry] = []
    private var suspects: [ForeignText: [MonotonicInstant]] = [:]

    init(_ policy: QuarantinePolicy?) { self.policy = policy }

    /// The consequence of a crash.
    struct Verdict: Equatable {
        /// Labels that are refused from now on.
        var added: [ForeignText] = []
        /// A label should be refused, but the list is full.
        var isFull = false
    }

    /// A worker has crashed while requests of these labels were executing.
    mutating func crashed(_ labels: [ForeignText], at now: MonotonicInstant) -> Verdict {
        var verdict = Verdict()
        guard let policy else { return verdict }
        for label in Set(labels).sorted(by: { $0.unescaped < $1.unescaped }).prefix(Self.mostLabels) {
            if let index = entries.firstIndex(where: { $0.label == label }) {
                // It was begun before the list had it.
                if entries[index].until != nil { entries[index].until = now + policy.period }
                entries[index].crashes += 1
                continue
            }
            let recent = (suspects[label] ?? []).filter { now - $0 < policy.period } + [now]
            guard recent.count >= policy.crashes else {
                remember(label, recent, now, policy)
                continue
            }
            suspects[label] = nil
            guard entries.count < QuarantineList.mostEntries else {
                verdict.isFull = true
                continue
            }
            entries.append(Entry(label: label, until: now + policy.period, crashes: recent.count))
            verdict.added.append(label)
        }
        return verdict
    }

    private mutating func remember(
        _ label: ForeignText, _ crashes: [MonotonicInstant], _ now: MonotonicInstant, _ policy: QuarantinePolicy
    ) {
        if suspects[label] == nil, suspects.count >= Self.mostSuspects {
            suspects = suspects.filter { _, times in times.last.map { now - $0 < policy.period } ?? false }
            // The label that has been quiet for longest.
            if suspects.count >= Self.mostSuspects,
                let oldest = suspects.min(by: { ($0.value.last ?? now) < ($1.value.last ?? now) })
            {
                suspects[oldest.key] = nil
            }
        }
        suspects[label] = crashes
    }

    /// An operator wants it refused until it is removed.
    ///
    /// - Returns: false when the list is full.
    mutating func add(_ label: ForeignText) -> Bool {
        let label = ForeignText(decoding: label.unescaped.utf8.prefix(RequestRingLayout.labelLimit))
        if let index = entries.firstIndex(where: { $0.label == label }) {
            entries[index].until = nil
            return true
        }
        guard entries.count < QuarantineList.mostEntries else { return false }
        entries.append(Entry(label: label, until: nil, crashes: suspects.removeValue(forKey: label)?.count ?? 0))
        return true
    }

    /// - Returns: false when it is not there.
    mutating func remove(_ label: ForeignText) -> Bool {
        guard let index = entries.firstIndex(where: { $0.label == label }) else { return false }
        entries.remove(at: index)
        return true
    }

    /// - Returns: the labels whose time is over.
    mutating func expire(at now: MonotonicInstant) -> [ForeignText] {
        let over = entries.filter { $0.until.map { $0 <= now } ?? false }.map(\.label)
        if !over.isEmpty { entries.removeAll { $0.until.map { $0 <= now } ?? false } }
        return over
    }

    /// How many labels have crashed workers and are not refused.
    var suspectCount: Int { suspects.count }

    var nextDeadline: MonotonicInstant? { entries.lazy.compactMap(\.until).min() }
}

/// When requests of one label are refused because they crash workers.
public struct QuarantinePolicy: Hashable, Sendable {
    /// So many crashes of it ...
    public var crashes: Int
    /// ... within this time. It is refused for as long, from its last crash on.
    public var period: Duration

    /// - Parameters:
    ///   - crashes: 1 to 1,000.
    ///   - period: at least a millisecond.
    public init(crashes: Int, per period: Duration) {
        self.crashes = crashes
        self.period = period
    }
}

extension ExitStatus {
    /// By a signal that a process brings on itself.
    var isCrash: Bool {
        guard case .signaled(let signal, _) = self else { return false }
        return signal.isOfCrash
    }
}
