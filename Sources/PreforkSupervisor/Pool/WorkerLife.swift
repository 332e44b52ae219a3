// What is known of a serving worker: its limits, its heartbeats, its samples.

import PreforkSystem

/// What a worker's line of the scoreboard and the kernel say of it at one look.
struct WorkerSample: Equatable {
    var slot: Int
    var spawn: UInt64
    /// Changes with every heartbeat.
    var heartbeat: UInt64 = 0
    /// How often it gives one. If nil, never: as a worker of an earlier image that did not detect hangs.
    var heartbeatPeriod: Duration? = .zero
    /// Until when it has said that it may be silent.
    var extendedUntil: MonotonicInstant?
    var requests: UInt64 = 0
    /// Bytes of resident memory. If nil, they were not sampled.
    var memory: Int?
    /// Since it was forked. If nil, it was not sampled.
    var processorTime: Duration?
}

/// A worker's limits, drawn when it became ready, and its last heartbeat.
struct WorkerLife: Equatable {
    var requestLimit: UInt64?
    var end: MonotonicInstant?
    var memoryLimit: Int?

    var heartbeat: UInt64?
    var lastSign: MonotonicInstant
    /// When it was found to be silent for too long.
    var hungSince: MonotonicInstant?
    var processorTime: Duration?
    /// The limit that it has reached.
    var isDue: RecyclingReason?
    /// A replacement failed: not before then again.
    var postponedTo: MonotonicInstant?

    init(_ policy: RecyclingPolicy, at now: MonotonicInstant, using random: inout some RandomNumberGenerator) {
        lastSign = now
        requestLimit = policy.requests.map { UInt64(policy.jittered(Double($0), using: &random)) }
        end = policy.lifetime.map {
            now + .nanoseconds(Int64(policy.jittered(Double($0.saturatedNanoseconds), using: &random)))
        }
        memoryLimit = policy.memory.map { Int(policy.jittered(Double($0), using: &random)) }
    }
}

/// When the supervisor samples its workers.
struct Sampling: Equatable {
    var last: MonotonicInstant?
    var next: MonotonicInstant?
}
