// The number of workers of a pool.

import PreforkSystem

/// The number of workers of a pool.
public enum WorkerCount: Hashable, Sendable {
    /// One per core that this process may use (see `cpuCount`). `PREFORK_WORKERS` overrides it.
    case perCore
    /// Exactly so many, 1...`maximum`.
    case count(Int)

    /// As `.count(_:)`. If nil, as `.perCore`.
    package init(_ count: Int?) {
        self = count.map { .count($0) } ?? .perCore
    }

    /// More workers than this are a mistake somewhere: a process each, and a line of the scoreboard.
    public static let maximum = 10_000

    /// - Throws: `.badWorkerCount` for a count out of range and for a PREFORK_WORKERS that is no such number.
    package func resolve() throws(SupervisorError) -> Int {
        let range = 1...Self.maximum
        switch self {
        case .count(let count):
            guard range.contains(count) else {
                throw SupervisorError(.badWorkerCount("\(count) is not within \(range)"))
            }
            return count
        case .perCore:
            switch workerOverride(CurrentProcess.environment("PREFORK_WORKERS")) {
            case .absent: return cpuCount()
            case .valid(let count) where range.contains(count): return count
            case .valid(let count):
                throw SupervisorError(.badWorkerCount("PREFORK_WORKERS=\(count) is not within \(range)"))
            case .invalid(let text):
                let shown = Escaping.brief(text)
                throw SupervisorError(.badWorkerCount("PREFORK_WORKERS=\(shown) is neither auto nor within \(range)"))
            }
        }
    }
}

extension WorkerCount: ExpressibleByIntegerLiteral {
    /// `4` is `.count(4)`.
    public init(integerLiteral count: Int) {
        self = .count(count)
    }
}
