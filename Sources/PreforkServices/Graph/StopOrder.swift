// Computes which services may stop next.

/// The order of a stop, the start's run backwards: a service first, then its groups from the last to the first, and
/// what several need when the last of them is done with it.
///
/// It begins wherever a start got to: a service that was requested and never came up only releases what it holds.
package struct StopOrder: Sendable {
    private let graph: ServiceGraph
    private let reached: [Int]
    /// How many holds it has: one for each request by a service. The root is held by its tree.
    private var holds: [Int]
    /// The last service to release it, which continues when this one and all below are done.
    private var releaser: [Int]
    private var group: [Int]
    private var open: [Int]
    package private(set) var isComplete = false

    package init(after start: StartOrder) {
        graph = start.graph
        reached = start.reached
        holds = Array(repeating: 0, count: graph.count)
        releaser = Array(repeating: -1, count: graph.count)
        group = reached
        open = holds
        for node in 0..<graph.count where start.marks[node] != .new {
            for members in graph.groups[node].prefix(reached[node]) {
                for member in members { holds[member] += 1 }
            }
        }
    }

    /// - Returns: the service that may stop first, the root.
    package mutating func begin() -> [Int] { [0] }

    /// Its own stop is over, or it never was up.
    ///
    /// - Returns: the services that are not needed any longer.
    package mutating func down(_ node: Int) -> [Int] {
        var free: [Int] = []
        var place = node
        // Upwards from a finished service to the service that waited for it, as far as everything below is done.
        while true {
            release(place, into: &free)
            guard open[place] == 0 else { return free }
            guard releaser[place] >= 0 else {
                isComplete = true
                return free
            }
            place = releaser[place]
            open[place] -= 1
            guard open[place] == 0 else { return free }
        }
    }

    /// Releases its groups, until one has members that must stop first.
    private mutating func release(_ node: Int, into free: inout [Int]) {
        while group[node] > 0, open[node] == 0 {
            group[node] -= 1
            for member in graph.groups[node][group[node]] {
                holds[member] -= 1
                guard holds[member] == 0 else { continue }
                releaser[member] = node
                open[node] += 1
                free.append(member)
            }
        }
    }
}

extension StopOrder {
    /// In which round each stops when every stop takes equally long, and how many rounds there are.
    ///
    /// - Parameter isUp: those that are not take no time.
    package static func rounds(after start: StartOrder, isUp: (Int) -> Bool) -> (of: [Int], count: Int) {
        var order = StopOrder(after: start)
        var rounds = Array(repeating: 0, count: start.graph.count)
        var current = order.begin()
        var round = 0
        while !current.isEmpty {
            var next: [Int] = []
            var stopping: [Int] = []
            while let node = current.popLast() {
                if isUp(node) { stopping.append(node) } else { current += order.down(node) }
            }
            for node in stopping {
                rounds[node] = round
                next += order.down(node)
            }
            if !stopping.isEmpty { round += 1 }
            current = next
        }
        return (rounds, round)
    }
}
