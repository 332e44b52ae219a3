// Causes of log lines: the processes that can make the supervisor write a line.

/// Asked for with each line. One that is not `.own` can be caused without end by a process that is not trusted, and
/// goes through `LineThinning` by its cause. No such process can make the number of causes larger: slots and targets
/// are the program's.
enum LogCause: Hashable, Sendable {
    case own(OwnCause)
    /// The worker in a slot causes it.
    case worker(Int, LogEvent)
    /// A managed process causes it, named by its target.
    case target(String, LogEvent)
    /// Something of the whole pool, which any child can bring about.
    case pool(LogEvent)
}

/// Why no worker, managed process, client or peer can cause a line without end. Each line that is not thinned names
/// one.
enum OwnCause: Hashable, Sendable {
    /// At the start, at the takeover from the previous image, or at the first start of a target: a fixed number of
    /// times in the life of this image.
    case start
    /// An operator's order, its effect on each slot, or its result: a fixed number of lines for each. Only root and the
    /// supervisor's own user can give orders, by the control socket or by a signal.
    case order
    /// A worker has lived for as long as the operator's settings let one live.
    case lifetime
    /// A change of the pool's life as a whole which comes once, or twice where a quick stop follows a graceful one.
    case life
    /// A line of what a child has written, or how much of that was thrown away: `OutputAllowance` bounds the bytes
    /// and lines of all children together before they come here.
    case output
}

/// What the untrusted side can bring about. The raw value stands in the line that says how many others were left out.
enum LogEvent: String, Hashable, Sendable, CaseIterable {
    case start = "starts"
    case refusedStart = "failed starts"
    case readiness
    case end = "ends"
    case kill = "kills"
    case crash = "crashes that end everything"
    case trap = "crashes"
    case hang = "hangs"
    case recovery = "recoveries"
    case snapshot = "snapshots"
    case stack = "stacks"
    case replacement = "replacements"
    case failedReplacement = "failed replacements"
    case recycling
    case scaling
    case standstill = "standstills"
    case signal = "refused signals"
    case lateEnd = "late ends"
    case strayCode = "stray codes"
    case ignoredCode = "ignored codes"
    case order = "orders"
    case preventedRestart = "prevented restarts"
    case dependency = "missing dependencies"
    case hook = "hooks"
    case listener = "listeners"
    case metrics = "refused metrics"
    case quarantine
    case slowRequest = "slow requests"
    case stall = "stalls"
    case stallEnd = "ends of stalls"
    case move = "moves of connections"
    case output

    /// How many lines may come at once. Restarts come in groups: as many as `RestartRateLimit` allows at once are reported
    /// one by one, because each has its own exit status. A pool can have several listeners, and a target several hooks.
    var burst: Int {
        switch self {
        case .start, .refusedStart, .readiness, .end, .trap, .kill, .replacement, .recycling, .scaling, .order,
            .hook, .listener, .quarantine, .slowRequest, .stall, .stallEnd:
            8
        default: 1
        }
    }
}

extension LogCause {
    /// What the line says that tells of those left out.
    func line(leftOut count: Int) -> LogLine {
        let whose =
            switch self {
            case .own: "the supervisor"
            case .worker(let slot, let event): "worker \(slot) (\(event.rawValue))"
            case .target(let name, let event): "\(name) (\(event.rawValue))"
            case .pool(let event): "the pool (\(event.rawValue))"
            }
        return LogLine(.warning, "\(count) more \(count == 1 ? "line" : "lines") of \(whose) left out")
    }
}
