// Computes which services may start next.

/// The order of a start: what a service needs is up before it starts itself, its groups one after another.
///
/// A value without side effects: it names services that may start, and is informed of those that are up.
package struct StartOrder: Sendable {
    package enum Mark: UInt8, Sendable {
        /// No service has requested it yet.
        case new
        /// What it needs is on its way.
        case waiting
        /// It may start, or is starting.
        case ready
        case up
    }

    package let graph: ServiceGraph
    package private(set) var marks: [Mark]
    /// How many of its groups each has requested, and so holds.
    package private(set) var reached: [Int]
    /// Those that are up, in the order they came up.
    package private(set) var sequence: [Int] = []
    private var group: [Int]
    private var missing: [Int]
    private var waiters: [[Int]]

    package init(_ graph: ServiceGraph) {
        self.graph = graph
        marks = Array(repeating: .new, count: graph.count)
        reached = Array(repeating: 0, count: graph.count)
        group = reached
        missing = reached
        waiters = Array(repeating: [], count: graph.count)
    }

    package var isComplete: Bool { marks[0] == .up }

    /// Requests the root.
    ///
    /// - Returns: those that may start.
    package mutating func begin() -> [Int] {
        guard marks[0] == .new else { return [] }
        marks[0] = .waiting
        return advance([0])
    }

    /// It is up.
    ///
    /// - Returns: those that may start now.
    package mutating func up(_ node: Int) -> [Int] {
        guard note(up: node) else { return [] }
        var next: [Int] = []
        for waiter in waiters[node] {
            missing[waiter] -= 1
            if missing[waiter] == 0 {
                group[waiter] += 1
                next.append(waiter)
            }
        }
        waiters[node] = []
        return advance(next)
    }

    /// It came up although the start as a whole was given up: nothing follows from it but that it must be stopped.
    @discardableResult
    package mutating func note(up node: Int) -> Bool {
        guard marks[node] == .ready else { return false }
        marks[node] = .up
        sequence.append(node)
        return true
    }

    private mutating func advance(_ nodes: [Int]) -> [Int] {
        var queue = nodes
        var ready: [Int] = []
        var head = 0
        while head < queue.count {
            let node = queue[head]
            head += 1
            while group[node] < graph.groups[node].count, missing[node] == 0 {
                reached[node] = group[node] + 1
                for member in graph.groups[node][group[node]] where marks[member] != .up {
                    missing[node] += 1
                    waiters[member].append(node)
                    guard marks[member] == .new else { continue }
                    marks[member] = .waiting
                    queue.append(member)
                }
                if missing[node] == 0 { group[node] += 1 }
            }
            if missing[node] == 0 {
                marks[node] = .ready
                ready.append(node)
            }
        }
        return ready
    }
}

extension StartOrder {
    /// The services that start at the same time if every start takes equally long.
    package static func levels(of graph: ServiceGraph) -> [[Int]] {
        var order = StartOrder(graph)
        var levels: [[Int]] = []
        var ready = order.begin()
        while !ready.isEmpty {
            levels.append(ready)
            var next: [Int] = []
            for node in ready { next += order.up(node) }
            ready = next
        }
        return levels
    }
}
