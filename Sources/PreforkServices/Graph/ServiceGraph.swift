// The dependencies between services, in numbers.

/// A tree of services as numbers: 0 is the root, and no service needs itself.
package struct ServiceGraph: Sendable {
    /// Distinct names: given, or the type's name and a number.
    package let names: [String]
    /// What each needs: groups one after another, the members of a group at once.
    package let groups: [[[Int]]]
    /// The service that was the first to need it, or -1 for the root.
    package let parents: [Int]

    package var count: Int { names.count }

    package init(names: [String], groups: [[[Int]]], parents: [Int]) {
        self.names = names
        self.groups = groups
        self.parents = parents
    }

    /// The names from the root down to a service. The middle of a very long one is left out: the errors of a deep tree
    /// would be mostly that.
    package func path(_ node: Int) -> String {
        var way: [Int] = []
        var place = node
        while place >= 0 {
            way.append(place)
            place = parents[place]
        }
        var steps = way.suffix(12).reversed().map { names[$0] }
        if way.count > 24 { steps.append("…") }
        return (steps + way.dropLast(12).prefix(12).reversed().map { names[$0] }).joined(separator: "/")
    }

    /// All services that need it directly.
    package func dependents() -> [[Int]] {
        var dependents: [[Int]] = Array(repeating: [], count: count)
        for node in 0..<count {
            for member in groups[node].joined() where dependents[member].last != node {
                dependents[member].append(node)
            }
        }
        return dependents
    }
}
