// What one run of a once-task is for.

/// A run that waits or is going.
package struct OnceTicket: Equatable, Sendable {
    /// The number of the run. A task's first run has number 1, also over upgrades. 0 while it waits.
    package var run: UInt64 = 0
    /// The number of the due time it is for: of the last one, where it stands for several. 0 if an operator asked for
    /// the run.
    package var due: UInt64
    /// For how many due times it stands.
    package var covers: UInt64
    /// 1 for the first run of a due time, one more for each run before it that was killed.
    package var attempt = 1
    /// The due time, in milliseconds since 1970.
    package var scheduled: Int64

    /// Of no due time.
    package static let none = OnceTicket(due: 0, covers: 0, scheduled: 0)
}

/// How a run ended.
package enum OnceResult: String, CaseIterable, Sendable {
    case done
    /// The body threw.
    case failed
    /// It took longer than its time limit.
    case timedOut
    /// A signal ended it that its supervisor did not send, or its end is not known.
    case killed
    /// It was asked to end.
    case stopped
    /// Without its body: another machine has begun the due time, or has a run.
    case elsewhere
    /// Without its body: the server that has the lease did not answer.
    case noLease

    /// Those that a record of an older version of this package has, in its order.
    static let first: [OnceResult] = [.done, .failed, .timedOut, .killed, .stopped]
}

extension OnceResult {
    /// The body did not begin.
    var isWithoutBody: Bool { self == .elsewhere || self == .noLease }
}

/// How the process of a run that needs a lease says that it has none: a code beyond those of sysexits.h, of which
/// EX_CONFIG (78) is the last one, and EX_UNAVAILABLE.
package enum OnceLeaseCode {
    package static let elsewhere: Int32 = 79
    package static let noLease: Int32 = 69
}

/// The last run of a task that has ended.
package struct OnceRunReport: Equatable, Sendable {
    package var ticket: OnceTicket
    package var pid: Int32
    package var result: OnceResult
    /// Exit code or signal, as text.
    package var status: String
    package var duration: Duration
    /// When it ended, in milliseconds since 1970.
    package var time: Int64
}

/// What is counted for each task. Over upgrades, too.
package struct OnceCounters: Equatable, Sendable {
    /// Ends of runs.
    package var results: [OnceResult: UInt64] = [:]
    /// Due times without a run of their own: another one stands for them.
    package var coalesced: UInt64 = 0
    /// Due times without a run, by `MisfirePolicy.skip`.
    package var skipped: UInt64 = 0
    /// All runs together.
    package var duration: Duration = .zero

    package init() {}
}
