// The wait before the next attempt.

#if Valkey
    /// Doubles from attempt to attempt up to a limit. Randomness removes up to half, so that the clients of a server
    /// that comes back do not all come at once.
    package struct Backoff: Sendable {
        private let range: ClosedRange<Duration>
        private var next: Duration

        /// - Parameter range: nothing beyond a day counts, so that it can be doubled and shortened by a fraction.
        package init(_ range: ClosedRange<Duration>) {
            self.range = range.clamped(to: .zero ... .seconds(86_400))
            next = self.range.lowerBound
        }

        /// - Parameter chance: 0 up to 1.
        package mutating func pause(chance: Double = .random(in: 0..<1)) -> Duration {
            defer { next = min(next * 2, range.upperBound) }
            return next * (1 - chance / 2)
        }

        package mutating func reset() {
            next = range.lowerBound
        }
    }
#endif
