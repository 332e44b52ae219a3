// The number of spare workers of a pool.

import PreforkSystem

/// How many spare workers a pool keeps: processes that the supervisor forks ahead, so that the next restart needs no
/// fork. See <doc:SpareWorkers>.
public struct SpareCount: Hashable, Sendable, ExpressibleByIntegerLiteral {
    /// If nil, `automatic`.
    package let fixed: Int?

    private init(fixed: Int?) { self.fixed = fixed }

    /// One, where the control groups of the supervisor leave memory for it and the program has no
    /// `SupervisorHooks.beforeFork`. Otherwise none.
    public static let automatic = SpareCount(fixed: nil)

    /// No spare worker: each worker is forked when it is needed.
    public static let none = SpareCount(fixed: 0)

    /// The largest number of spare workers.
    public static let maximum = 100

    /// Exactly so many, whatever memory is left.
    ///
    /// - Parameter count: 0...`maximum`. Any other number ends the start with `.badSettings`.
    public static func count(_ count: Int) -> SpareCount { SpareCount(fixed: count) }

    /// `2` is `.count(2)`.
    public init(integerLiteral count: Int) { self.init(fixed: count) }

    /// How many a pool keeps.
    ///
    /// - Parameter preparesForks: the program has a `beforeFork` hook. What that changes before each fork must reach
    ///   the worker, and a spare was forked before.
    func resolve(preparesForks: Bool) -> Int { fixed ?? (preparesForks ? 0 : 1) }

    /// Room in the control group below which `automatic` forks no spare. A spare itself takes some 100 KiB, and a large
    /// supervisor's page tables a five-hundredth of its memory. The rest is left for workers.
    private static let leastRoom: UInt64 = 64 << 20

    /// Whether there is memory for a spare.
    func fits(_ limit: @autoclosure () -> MemoryLimit?) -> Bool {
        guard fixed == nil, let limit = limit() else { return true }
        return limit.room >= Self.leastRoom
    }
}

extension SettingFormat<SpareCount> {
    static var spares: Self {
        Self(
            shape: "auto, or 0 to \(SpareCount.maximum)",
            parse: { text in
                if text == "auto" { return .automatic }
                return text.wholeNumber.flatMap { 0...SpareCount.maximum ~= $0 ? .count($0) : nil }
            },
            show: { $0.fixed.map { "\($0)" } ?? "auto" })
    }
}
