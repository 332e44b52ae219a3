// What happens to workers that crash.

/// What happens to workers between their crash and their end.
public struct CrashPolicy: Hashable, Sendable {
    /// How long a backtracer, or the kernel with a core file, may take before the process is killed. Its successor has
    /// long been forked by then.
    public var timeout: Duration
    /// How many crashed workers at once may have a backtracer. One more is killed at its crash. Each backtracer takes
    /// memory and a processor, which serving workers need.
    public var backtracersAtOnce: Int

    /// - Parameters:
    ///   - timeout: above zero.
    ///   - backtracersAtOnce: 0 for none.
    public init(timeout: Duration = .seconds(10), backtracersAtOnce: Int = 2) {
        self.timeout = timeout
        self.backtracersAtOnce = backtracersAtOnce
    }
}
