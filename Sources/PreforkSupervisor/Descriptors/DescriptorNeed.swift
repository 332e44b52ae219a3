// The number of descriptors that a supervisor needs for its workers.

/// What a pool needs of RLIMIT_NOFILE.
struct DescriptorNeed: Equatable {
    var workers: Int
    /// For managed processes.
    var others: UInt64
    /// The soft limit, raised as far as the hard one allows.
    var limit = UInt64.max

    init(workers: Int, others: UInt64 = 0) {
        self.workers = workers
        self.others = others
    }

    /// Each worker has a pidfd, a doorbell and its output, the last two once more for a rollback. During a reload there
    /// are more workers than slots.
    var wanted: UInt64 { UInt64(workers) * 8 + 256 + others }

    /// Without a reload, and with little of the program's own.
    private var least: UInt64 { UInt64(workers) * Self.perWorker + Self.own + others }

    /// If nil, there are enough.
    var warning: String? {
        guard limit < least else { return nil }
        let fitting = limit > Self.own + others ? (limit - Self.own - others) / Self.perWorker : 0
        return """
            \(workers) workers need about \(least) descriptors, and this process may have \(limit): about \(fitting) \
            workers can start (raise the hard limit: LimitNOFILE=, ulimit -Hn)
            """
    }

    /// Pidfd, doorbell, output: seen in /proc.
    static let perWorker: UInt64 = 3
    /// Standard streams, signals, shared memory: likewise, and a listener or two.
    static let own: UInt64 = 16
}
