// When workers have had their share.

import PreforkSystem

/// Why a worker was recycled.
package enum RecyclingReason: String, Hashable, Sendable {
    /// It has counted `RecyclingPolicy.requests` requests.
    case requests
    /// It has been ready for `RecyclingPolicy.lifetime`.
    case lifetime
    /// Its resident memory has reached `RecyclingPolicy.memory`.
    case memory
}

/// Limits on requests, lifetime and memory after which a worker is replaced.
///
/// The replacement is ready first, and never more than `atOnce` slots are being recycled, however their limits fall
/// together (gunicorn #3427: jitter alone does not keep workers from going all at once).
public struct RecyclingPolicy: Equatable, Sendable {
    /// Requests, as counted by `Worker.countRequest`. At least one.
    public var requests: Int?
    /// The time since the worker became ready. At least a millisecond.
    public var lifetime: Duration?
    /// Bytes of resident memory. At least one.
    public var memory: Int?
    /// Each limit is drawn anew for each worker between itself and so much of itself less, 0 ... 1.
    public var jitter: Double
    /// The number of slots that are recycled at a time. At least one.
    public var atOnce: Int

    /// A limit that is nil is off. Values outside the bounds of each property end the start with
    /// `SupervisorError.Code.badSettings`.
    public init(
        requests: Int? = nil, lifetime: Duration? = nil, memory: Int? = nil, jitter: Double = 0.1, atOnce: Int = 1
    ) {
        self.requests = requests
        self.lifetime = lifetime
        self.memory = memory
        self.jitter = jitter
        self.atOnce = atOnce
    }

    /// No worker is ever recycled.
    var isOff: Bool { requests == nil && lifetime == nil && memory == nil }

    /// Whether workers must be sampled. A lifetime needs only a deadline.
    var needsSamples: Bool { requests != nil || memory != nil }

    func jittered(_ limit: Double, using random: inout some RandomNumberGenerator) -> Double {
        // Below 2^63, so that it can be any integer's.
        min(max(1, limit * (1 - jitter * Double.random(in: 0...1, using: &random))), 9e18)
    }
}

extension WorkerLife {
    func reasonToGo(_ sample: WorkerSample) -> RecyclingReason? {
        if let requestLimit, sample.requests >= requestLimit { return .requests }
        if let memoryLimit, let memory = sample.memory, memory >= memoryLimit { return .memory }
        return nil
    }
}
