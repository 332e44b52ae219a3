// Which connections go from one worker to another, both of which serve on.

/// Connections that move so that workers have as many.
struct Rebalance: Equatable {
    /// Spawns.
    let giver: UInt64
    let taker: UInt64
    let count: Int

    /// Each worker is in one of them at most: the one with the most gives to the one with the fewest, the next one to the
    /// next.
    ///
    /// - Parameters:
    ///   - connections: of each worker that is ready, by its spawn.
    ///   - difference: pairs that are closer to each other than this stay as they are.
    ///   - limit: so many move from one worker at most.
    static func moves(
        _ connections: [UInt64: Int], atLeast difference: Int = 2, atMost limit: Int = .max
    ) -> [Rebalance] {
        // Of several that are equal, always the same.
        let sorted = connections.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
        return (0..<sorted.count / 2).compactMap { index in
            let (taker, giver) = (sorted[index], sorted[sorted.count - 1 - index])
            let count = min((giver.value - taker.value) / 2, limit)
            guard giver.value - taker.value >= difference, count > 0 else { return nil }
            return Rebalance(giver: giver.key, taker: taker.key, count: count)
        }
    }

    /// What the pool does by itself, slowly: a tenth more than the others is no reason.
    static func slowMoves(_ connections: [UInt64: Int]) -> [Rebalance] {
        let mean = connections.values.reduce(0, +) / max(1, connections.count)
        return moves(connections, atLeast: max(16, mean / 5), atMost: 64)
    }

    /// Between two looks of that kind.
    static let period = Duration.seconds(5)
}
