// Numbers the services of a tree, and checks for services that cannot be started.

/// Walks from a root to everything it needs. Not by recursion: a chain may be longer than a stack.
struct GraphTracing<Service> {
    /// What is asked of a service, once each.
    struct Reading {
        var identity: (Service) -> ObjectIdentifier
        var groups: (Service) -> [[Service]]
        var name: (Service) -> String?
        var type: (Service) -> Any.Type
    }

    private struct Step {
        let node: Int
        var group = 0
        var member = 0
    }

    private let reading: Reading
    private(set) var services: [Service] = []
    private var numbers: [ObjectIdentifier: Int] = [:]
    private var needs: [[[Service]]] = []
    private var groups: [[[Int]]] = []
    private var parents: [Int] = []
    private var isOpen: [Bool] = []
    private var steps: [Step] = []

    /// - Throws: `ServiceError` of kind `cycle` or `duplicateName`.
    static func trace(
        _ root: Service, _ reading: Reading
    ) throws(ServiceError) -> (graph: ServiceGraph, services: [Service]) {
        var tracing = GraphTracing(reading: reading)
        tracing.enter(root, from: -1)
        while !tracing.steps.isEmpty { try tracing.walk() }
        let graph = ServiceGraph(names: tracing.names(), groups: tracing.groups, parents: tracing.parents)
        try tracing.refuseDuplicates(graph)
        return (graph, tracing.services)
    }

    private init(reading: Reading) { self.reading = reading }

    private mutating func enter(_ service: Service, from parent: Int) {
        let node = services.count
        numbers[reading.identity(service)] = node
        services.append(service)
        let needed = reading.groups(service)
        needs.append(needed)
        groups.append(needed.map { _ in [] })
        parents.append(parent)
        isOpen.append(true)
        steps.append(Step(node: node))
    }

    /// Goes to the next member of the innermost open service, or closes it.
    private mutating func walk() throws(ServiceError) {
        let top = steps.count - 1
        let step = steps[top]
        guard step.group < needs[step.node].count else {
            isOpen[step.node] = false
            needs[step.node] = []
            steps.removeLast()
            return
        }
        guard step.member < needs[step.node][step.group].count else {
            steps[top].group += 1
            steps[top].member = 0
            return
        }
        steps[top].member += 1
        let member = needs[step.node][step.group][step.member]
        guard let known = numbers[reading.identity(member)] else {
            groups[step.node][step.group].append(services.count)
            enter(member, from: step.node)
            return
        }
        if isOpen[known] { throw cycle(backTo: known) }
        groups[step.node][step.group].append(known)
    }

    private func cycle(backTo node: Int) -> ServiceError {
        let names = names()
        let way = steps.drop { $0.node != node }.map { names[$0.node] } + [names[node]]
        return ServiceError(.cycle(way), service: names[node])
    }

    /// Unnamed ones get the name of their type and a number that leaves every name free that was given.
    private func names() -> [String] {
        let given = services.map(reading.name)
        var taken = Set(given.compactMap(\.self))
        // The name of a type is worth keeping: finding it out takes longer than all else here.
        var types: [ObjectIdentifier: (name: String, count: Int)] = [:]
        return services.indices.map { node in
            if let name = given[node] { return name }
            let type = reading.type(services[node])
            var entry = types[ObjectIdentifier(type)] ?? (String(describing: type), 0)
            var name: String
            repeat {
                entry.count += 1
                name = "\(entry.name)-\(entry.count)"
            } while !taken.insert(name).inserted
            types[ObjectIdentifier(type)] = entry
            return name
        }
    }

    private func refuseDuplicates(_ graph: ServiceGraph) throws(ServiceError) {
        var seen: Set<String> = []
        seen.reserveCapacity(graph.count)
        for node in 0..<graph.count where !seen.insert(graph.names[node]).inserted {
            throw ServiceError(.duplicateName(graph.names[node]), service: graph.path(node))
        }
    }
}
