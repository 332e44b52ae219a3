// What a worker's supervisor says about requests, and learns of them.

package import PreforkSystem

/// Which requests are refused, and where answered ones are counted. The code that knows the supervisor gives it to the
/// loop, for servers that know when a request begins and ends.
package final class RequestAccounting {
    /// A request that must not run.
    package struct Refusal {
        /// After how long another attempt makes sense. If nil, only an operator can release the label.
        package let retryAfter: Duration?

        package init(retryAfter: Duration?) { self.retryAfter = retryAfter }
    }

    /// Where the loop's thread counts how long requests took, in nanoseconds. Kept mapped by what `counted` refers to.
    package let durations: HistogramWords
    private let quarantine: QuarantineList
    private let counted: (Int) -> Void
    private let refused: (UnsafeRawBufferPointer) -> Refusal?

    /// - Parameters:
    ///   - quarantine: of the labels that are refused.
    ///   - durations: mapped for as long as `counted` lives.
    ///   - counted: so many requests were answered.
    ///   - refused: whether a request of this label, which ends before a `?`, is refused. Counts and reports it then.
    package init(
        quarantine: QuarantineList, durations: HistogramWords, counted: @escaping (Int) -> Void,
        refused: @escaping (UnsafeRawBufferPointer) -> Refusal?
    ) {
        self.quarantine = quarantine
        self.durations = durations
        self.counted = counted
        self.refused = refused
    }

    /// - Returns: nil for a request that may run. One load, as long as the quarantine is empty.
    @inline(__always)
    package func refusal(of label: UnsafeRawBufferPointer) -> Refusal? {
        quarantine.isEmpty ? nil : refused(label)
    }

    package func count(_ requests: Int) { counted(requests) }

    /// A request was answered that has begun then. On the loop's thread.
    @inline(__always)
    package func count(requestSince began: MonotonicInstant) {
        let (duration, _) = MonotonicInstant.now.nanoseconds.subtractingReportingOverflow(began.nanoseconds)
        durations.add(UInt64(max(0, duration)))
        counted(1)
    }
}
