// Stack dumps that were requested from workers and have not arrived yet.

import PreforkSystem

/// At most one request a second for each worker, and another one for a stall of its loop before it, and one dump for each request: a worker writes into its area when it
/// likes, and is read only when it was asked.
struct StackDumpRequests {
    static let period = Duration.seconds(1)

    private struct Request {
        var asked: MonotonicInstant
        /// For a loop that stands still. A worker that hangs right after that is asked again.
        var isForStall: Bool
        /// The number of the last dump before the request. It becomes nil when the answer was read.
        var known: UInt64?
    }

    private var requests: [UInt64: Request] = [:]

    /// - Parameter known: `StackDump.number` at this time.
    /// - Returns: false for a worker that was asked less than a second ago.
    mutating func admit(_ spawn: UInt64, known: UInt64, isForStall: Bool = false, at now: MonotonicInstant) -> Bool {
        if let before = requests[spawn], now - before.asked < Self.period, isForStall || !before.isForStall { return false }
        requests[spawn] = Request(asked: now, isForStall: isForStall, known: known)
        return true
    }

    /// The number that `StackDump.read` needs. If nil, no answer is expected.
    func known(_ spawn: UInt64) -> UInt64? { requests[spawn]?.known }

    mutating func wasAnswered(_ spawn: UInt64) { requests[spawn]?.known = nil }

    /// The worker has ended.
    mutating func remove(_ spawn: UInt64) { requests[spawn] = nil }
}
