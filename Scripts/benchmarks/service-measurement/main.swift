// Start and stop of trees of services: milliseconds for 1,000, 3,000 and 10,000 of them.
//
// usage: service-measurement [RUNS]   (11 by default; the median counts)

import PreforkServices

final class Measured: AsyncService {
    let lifecycle = Lifecycle()
    let dependencies: [DependencyGroup]

    init(_ dependencies: [DependencyGroup] = []) { self.dependencies = dependencies }
}

final class MeasuredBlocking: BlockingService {
    let dependencies: [any BlockingService]

    init(_ dependencies: [any BlockingService] = []) { self.dependencies = dependencies }
}

/// All below one root, at once.
func wide(_ count: Int) -> Measured {
    Measured([.parallel((1..<count).map { _ in Measured() })])
}

/// Each needs the next.
func deep(_ count: Int) -> Measured {
    (1..<count).reduce(Measured()) { below, _ in Measured([.one(below)]) }
}

/// Ten needs each, alternately at once and one after another.
func bushy(_ count: Int) -> Measured {
    var level = (0..<max(count * 9 / 10, 1)).map { _ in Measured() }
    var isParallel = true
    while level.count > 1 {
        level = stride(from: 0, to: level.count, by: 10).map { first in
            let needed = Array(level[first..<min(first + 10, level.count)])
            return Measured(isParallel ? [.parallel(needed)] : needed.map { .one($0) })
        }
        isParallel.toggle()
    }
    return level[0]
}

func median(_ runs: Int, _ body: () async throws -> Void) async throws -> Double {
    var times: [Double] = []
    for _ in 0..<runs {
        let began = ContinuousClock.now
        try await body()
        times.append((ContinuousClock.now - began) / .milliseconds(1))
    }
    return times.sorted()[runs / 2]
}

func printRow(_ name: String, _ figures: [Double]) {
    let cells = figures.map { String(Double(Int($0 * 100)) / 100) + " ms" }
    print(([name] + cells).joined(separator: "\t"))
}

let runs = max(CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 11, 1)
let sizes = [1_000, 3_000, 10_000]
print((["start + stop"] + sizes.map { "\($0)" }).joined(separator: "\t"))
for (name, make) in [("wide", wide), ("deep", deep), ("bushy", bushy)] {
    var figures: [Double] = []
    for size in sizes {
        let tree = make(size)
        figures.append(try await median(runs) { try await tree.withRunning { _ in } })
    }
    printRow(name, figures)
}
var figures: [Double] = []
for size in sizes {
    let tree = MeasuredBlocking((1..<size).map { _ in MeasuredBlocking() })
    figures.append(try await median(runs) { try tree.withRunning { _ in } })
}
printRow("blocking", figures)
figures = []
for size in sizes {
    let tree = bushy(size)
    figures.append(try await median(runs) { _ = try ServicePlan(tree).levels })
}
printRow("plan only", figures)
