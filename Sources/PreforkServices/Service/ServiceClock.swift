// The time that trees of services go by.

/// A clock, and the chance in waiting times.
///
/// Every timeout, budget and backoff of a tree goes by the clock of its `ServiceHost`: an event loop's timers in a
/// worker, a manual clock in a test.
public protocol ServiceClock: Sendable {
    associatedtype _Fraction = Double

    /// The time since an origin that the clock chooses. It never goes back.
    var now: Duration { get }

    /// Returns when `now` is at least `deadline`.
    ///
    /// - Throws: `CancellationError`, promptly, when the calling task is cancelled.
    func sleep(until deadline: Duration) async throws

    /// A number of 0 through 1 that spreads backoffs. Random by default.
    func fraction() -> _Fraction

    func _chance() -> Double
}

extension ServiceClock where _Fraction == Double {
    /// The default: a random number of 0 through 1.
    public func fraction() -> Double { .random(in: 0...1) }
    public func _chance() -> Double { fraction() }
}

extension ServiceClock {
    @available(*, unavailable, message: "fraction() returns a Double")
    public func _chance() -> Double { 0 }
}

/// The standard library's clock. Its sleep starts threads: not for a process that forks afterwards.
public struct SystemServiceClock: ServiceClock {
    private static let origin = ContinuousClock.now

    /// A clock whose origin is the first use of any instance in the process.
    public init() {}

    public var now: Duration { Self.origin.duration(to: .now) }

    public func sleep(until deadline: Duration) async throws {
        try await ContinuousClock().sleep(until: Self.origin + deadline.bounded)
    }
}
