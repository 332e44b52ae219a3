// The services that restart together with a failed one.

package enum RestartSet {
    /// - Parameter sequence: the services of the tree in the order they came up.
    /// - Returns: the services to start again, in the order of their start. They are stopped in the reverse order.
    package static func members(
        _ scope: RestartScope, of failed: Int, in graph: ServiceGraph, sequence: [Int]
    ) -> [Int] {
        switch scope {
        case .one: [failed]
        case .rest: Array(sequence.drop { $0 != failed })
        case .dependents: sequence.filter(reach(of: failed, in: graph).contains)
        }
    }

    private static func reach(of failed: Int, in graph: ServiceGraph) -> Set<Int> {
        let dependents = graph.dependents()
        var reached: Set<Int> = [failed]
        var open = [failed]
        while let node = open.popLast() {
            for dependent in dependents[node] where reached.insert(dependent).inserted { open.append(dependent) }
        }
        return reached
    }
}
