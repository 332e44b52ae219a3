// What becomes of due times that could not have their run, and of runs that were killed.

/// What follows when a run of a once-task cannot begin at its due time, and when the process of a run was killed.
///
/// A due time cannot have its run in time while the run before it is going, after the clock was set, after the machine
/// has slept, and while the supervisor was stopped by a signal. Whatever the policy, each such due time is counted and
/// the log has a line.
///
/// | policy     | due times that were missed              | a run that was killed                         |
/// |------------|-----------------------------------------|-----------------------------------------------|
/// | `.runNow`  | one run for all of them, as soon as it can | again, unless a later due time waits by then |
/// | `.runEach` | a late run for each, one after the other | again, before later due times                 |
/// | `.skip`    | no run                                  | no run until the next due time                |
public struct MisfirePolicy: Hashable, Sendable {
    enum Kind: Hashable { case runNow, runEach, skip }
    let kind: Kind

    /// One run as soon as possible stands for all due times that were missed. A run that was killed is begun again.
    public static let runNow = MisfirePolicy(kind: .runNow)
    /// Each due time has its own run, if need be late. At most 1,000 of them wait: one run stands for those above.
    /// A run that was killed is begun again.
    public static let runEach = MisfirePolicy(kind: .runEach)
    /// A due time that is missed by more than a second, or comes while a run is going, has no run. A run that was
    /// killed is not repeated.
    public static let skip = MisfirePolicy(kind: .skip)
}
