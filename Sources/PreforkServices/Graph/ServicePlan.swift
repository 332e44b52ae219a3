// A tree of services on paper.

/// What a start of a tree would do, found out without starting anything.
public struct ServicePlan: Sendable {
    private let graph: ServiceGraph

    /// Reads the dependencies of `root` and of all it needs.
    ///
    /// - Throws: `ServiceError` of kind `cycle`, with the path, or `duplicateName`.
    public init(_ root: some AsyncService) throws(ServiceError) {
        graph = try GraphTracing.trace(root, .async).graph
    }

    /// Reads the dependencies of `root` and of all it needs.
    ///
    /// - Throws: `ServiceError` of kind `cycle`, with the path, or `duplicateName`.
    public init(blocking root: some BlockingService) throws(ServiceError) {
        graph = try GraphTracing.trace(root, .blocking).graph
    }

    /// The services that start at the same time if every start takes equally long, in the order of the start. A stop
    /// goes the other way.
    public var levels: [[String]] {
        StartOrder.levels(of: graph).map { $0.map { graph.names[$0] } }
    }

    /// The graph as a Mermaid flowchart: an arrow from a service to what it needs.
    public var mermaid: String {
        var lines = ["flowchart TD"]
        for node in 0..<graph.count { lines.append("    s\(node)[\"\(graph.names[node].escapedForMermaid)\"]") }
        eachEdge { node, member, label in lines.append("    s\(node) -->\(label.map { "|\($0)|" } ?? "") s\(member)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The graph in the language of Graphviz: an arrow from a service to what it needs.
    public var dot: String {
        var lines = ["digraph services {"]
        for node in 0..<graph.count { lines.append("    s\(node) [label=\"\(graph.names[node].escapedForDot)\"];") }
        eachEdge { node, member, label in
            lines.append("    s\(node) -> s\(member)\(label.map { " [label=\"\($0)\"]" } ?? "");")
        }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    /// The label is the group's place among the groups of its service, or nil if there is only one.
    private func eachEdge(_ body: (_ node: Int, _ member: Int, _ label: Int?) -> Void) {
        for node in 0..<graph.count {
            let groups = graph.groups[node]
            for (index, members) in groups.enumerated() {
                var seen: Set<Int> = []
                for member in members where seen.insert(member).inserted {
                    body(node, member, groups.count > 1 ? index + 1 : nil)
                }
            }
        }
    }
}

extension ServicePlan: CustomStringConvertible {
    /// A line for each level.
    public var description: String {
        levels.enumerated().map { "\($0 + 1): \($1.joined(separator: ", "))" }.joined(separator: "\n")
    }
}

extension String {
    fileprivate var escapedForMermaid: String {
        reduce(into: "") { text, character in
            switch character {
            case "\"": text += "#quot;"
            case "#": text += "#35;"
            case _ where character.isNewline: text += " "
            default: text.append(character)
            }
        }
    }

    fileprivate var escapedForDot: String {
        reduce(into: "") { text, character in
            switch character {
            case "\"", "\\": text += "\\\(character)"
            case _ where character.isNewline: text += "\\n"
            default: text.append(character)
            }
        }
    }
}
