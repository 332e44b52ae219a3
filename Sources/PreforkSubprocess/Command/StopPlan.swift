// The plan by which a running command is ended.

public import PreforkSystem

/// Which processes a signal is for.
public enum SignalTarget: Hashable, Sendable {
    /// The command's process alone.
    case process
    /// The process group that the command leads. If it leads no group, the command's process alone.
    case group
    /// The process and its descendants, also those that have left the group. SIGKILL reaches the group and an exclusive
    /// `controlGroup`, too, because descendants whose parent has ended cannot be found otherwise.
    case tree
}

/// A ladder of signals, each with a time for an orderly end, and SIGKILL at its end.
public struct StopPlan: Hashable, Sendable {
    /// A signal, and how long the command may take to end after it.
    public struct Step: Hashable, Sendable {
        /// A signal that exists, 1 to 64. A command whose plan has another number is not started.
        public var signal: Signal
        /// How long to wait for the end before the next step. With zero or less, it does not wait.
        public var grace: Duration

        /// A step of the ladder.
        ///
        /// - Parameters:
        ///   - signal: 1 to 64.
        ///   - grace: the wait before the next step. With zero or less, there is no wait.
        public init(_ signal: Signal, grace: Duration) {
            self.signal = signal
            self.grace = grace
        }
    }

    /// The steps before SIGKILL, in order. If empty, SIGKILL is sent at once.
    public var steps: [Step]
    /// Which processes get the signals.
    public var target: SignalTarget
    /// How long the kernel may take to end a process after SIGKILL before that counts as failed.
    public var killGrace: Duration = .seconds(10)

    /// A ladder. SIGKILL follows the last step.
    ///
    /// - Parameters:
    ///   - steps: may be empty.
    ///   - target: which processes get the signals, SIGKILL included. By default the command's group.
    public init(_ steps: [Step], to target: SignalTarget = .group) {
        self.steps = steps
        self.target = target
    }

    /// SIGTERM, 5 s, SIGKILL, to the group.
    public static let standard = StopPlan([Step(.terminate, grace: .seconds(5))])

    /// SIGKILL at once, to the group.
    public static let kill = StopPlan([])

    /// SIGTERM, `grace`, SIGKILL, to the group.
    public static func terminate(grace: Duration) -> StopPlan {
        StopPlan([Step(.terminate, grace: grace)])
    }
}

extension StopPlan {
    /// Refuses signals that do not exist before the command starts: a stop would find out too late. Signal 0 only tests
    /// whether the process exists (kill(2)).
    func check() throws(SpawnError) {
        if let step = steps.first(where: { !(1...64).contains($0.signal.rawValue) }) {
            throw SpawnError(command: "a stop plan with signal \(step.signal.rawValue)")
        }
    }
}

/// A process's position on its plan. A value: it decides, and `WatchedChild` acts.
struct StopLadder {
    enum Rung: Equatable {
        /// Send this, then come back after the time.
        case send(Signal, thenWait: Duration)
        /// SIGKILL was sent and did not help.
        case failed
    }

    let plan: StopPlan
    private var next = 0

    init(_ plan: StopPlan) {
        self.plan = plan
    }

    var hasKilled: Bool { next > plan.steps.count }

    mutating func climb() -> Rung {
        defer { next += 1 }
        if next < plan.steps.count { return .send(plan.steps[next].signal, thenWait: plan.steps[next].grace) }
        if next == plan.steps.count { return .send(.kill, thenWait: plan.killGrace) }
        return .failed
    }
}
