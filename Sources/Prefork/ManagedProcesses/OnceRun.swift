// One run of a once-task, as its body sees it.

public import PreforkEventLoop
import PreforkSupervisor
import PreforkSystem

/// What the body of a once-task gets: which run it is, and for which due time.
///
/// The numbers count up from 1 for as long as the service lives, over reloads, upgrades and rollbacks. A service that
/// is stopped and started again begins with 1.
public struct OnceRun: Sendable {
    /// The task's name.
    public let name: String
    /// Another one for each run of the task.
    public let number: Int
    /// The number of the due time, also in a run that repeats one that was killed. Where the run stands for several due
    /// times, it is that of the last one. 0 if an operator has asked for the run.
    public let dueNumber: Int
    /// 1, and one more for each run of the same due time that was killed before.
    public let attempt: Int
    /// For how many due times the run stands besides `dueNumber`.
    public let missed: Int
    /// When the run was due, since 1970-01-01T00:00:00Z by the wall clock: whole milliseconds.
    public let dueTime: Duration
    /// The number of the run's lease, where its task has leases (package trait `Valkey`). Nil for any other task.
    ///
    /// A run that begins later, on whichever machine, has a larger number. What the run writes to must refuse a smaller
    /// number than the largest that it has seen. Then a run that has lost its lease, and does not know it, changes
    /// nothing.
    public internal(set) var fencingToken: Int64?
    /// The event loop of the run's process.
    public let loop: EventLoop

    /// Becomes true when the run must end: the program stops, or the run's time limit is over. Where the limit is over,
    /// the body's task is cancelled at once. Where the program stops, it is cancelled shortly before the grace period
    /// is over (a tenth of it, at most a second).
    public var stopRequested: StopRequest { loop.stopRequest }

    init(_ name: String, _ ticket: OnceTicket, loop: EventLoop) {
        self.name = name
        number = Int(clamping: ticket.run)
        dueNumber = Int(clamping: ticket.due)
        attempt = ticket.attempt
        missed = Int(clamping: ticket.covers) - (ticket.covers > 0 ? 1 : 0)
        dueTime = .milliseconds(ticket.scheduled)
        self.loop = loop
    }
}

/// Why a body did not begin: one of `OnceLeaseCode`.
struct OnceRefusal: Error {
    let code: Int32
}

extension OnceRun {
    /// EX_TEMPFAIL of sysexits.h: the body gave up because it was asked to.
    private static let abandoned: Int32 = 75

    /// Runs the body to its end.
    ///
    /// - Parameter limit: how long the run may take, counted by the supervisor, which then asks for the end.
    /// - Returns: the exit code.
    func perform(within limit: Duration?, _ body: @escaping @Sendable (OnceRun) async throws -> Void) async throws -> Int32 {
        let began = MonotonicInstant.now
        do {
            try await withThrowingTaskGroup(of: Bool.self) { [self] group in
                group.addTask {
                    try await body(self)
                    return true
                }
                if limit != nil {
                    group.addTask {
                        try await stopRequested.wait()
                        return false
                    }
                }
                while let isBody = try await group.next(), !isBody {
                    // The supervisor's clock began a moment before this one.
                    if let limit, MonotonicInstant.now - began >= limit - .milliseconds(100) { group.cancelAll() }
                }
                group.cancelAll()
            }
            return 0
        } catch let refusal as OnceRefusal {
            return refusal.code
        } catch let error as CancellationError {
            if stopRequested.isRequested { return Self.abandoned }
            reportFailure(of: name, error)
            return 1
        }
    }
}
