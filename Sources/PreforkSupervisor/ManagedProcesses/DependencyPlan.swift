// In which order named things start, so that each comes after what it needs.

/// The levels of a set of targets: a target's dependencies are all in levels before its own.
package struct DependencyPlan: Equatable {
    /// In each level in the order in which they were added.
    package let levels: [[String]]

    /// - Parameter targets: names with the names they depend on, in the order in which they were added.
    /// - Throws: `.unknown` with the path to a name that no target has, `.cycle` with the path round the cycle, such as
    ///   a, b, c, a. A dependency on itself is a cycle.
    package init(_ targets: [(name: String, dependencies: [String])]) throws(ProcessError) {
        let pairs = targets.map { ($0.name, $0.dependencies) }
        let dependencies = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
        var level: [String: Int] = [:]
        for (name, _) in targets { try Self.visit(name, dependencies, &level) }
        var levels = Array(repeating: [String](), count: (level.values.max() ?? -1) + 1)
        for (name, _) in targets { levels[level[name] ?? 0].append(name) }
        self.levels = levels
    }

    /// Depth first, with an explicit path instead of recursion: a chain of ten thousand must not overflow the stack.
    private static func visit(
        _ root: String, _ dependencies: [String: [String]], _ level: inout [String: Int]
    ) throws(ProcessError) {
        guard level[root] == nil else { return }
        var path: [(name: String, next: Int, level: Int)] = [(root, 0, 0)]
        var onPath: Set<String> = [root]
        while let (name, next, ownLevel) = path.last {
            let needed = dependencies[name] ?? []
            guard next < needed.count else {
                level[name] = ownLevel
                onPath.remove(name)
                path.removeLast()
                if !path.isEmpty { path[path.count - 1].level = max(path[path.count - 1].level, ownLevel + 1) }
                continue
            }
            path[path.count - 1].next += 1
            let dependency = needed[next]
            if let known = level[dependency] {
                path[path.count - 1].level = max(ownLevel, known + 1)
            } else if dependencies[dependency] == nil {
                throw ProcessError(.unknown(dependency), path: path.map(\.name) + [dependency])
            } else if onPath.contains(dependency) {
                let start = path.firstIndex { $0.name == dependency } ?? 0
                throw ProcessError(.cycle, path: path[start...].map(\.name) + [dependency])
            } else {
                path.append((dependency, 0, 0))
                onPath.insert(dependency)
            }
        }
    }
}
