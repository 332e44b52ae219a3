// One start and stop of a tree of blocking services.

/// As `TreeRun`, by the same orders, on the caller's thread.
final class BlockingRun {
    let graph: ServiceGraph
    private let services: [any BlockingService]
    private var order: StartOrder
    private var errors: [ServiceError] = []

    /// - Throws: `ServiceError` of kind `cycle` or `duplicateName`.
    init(_ root: any BlockingService) throws(ServiceError) {
        (graph, services) = try GraphTracing.trace(root, .blocking)
        order = StartOrder(graph)
    }

    func start() throws(ServiceError) {
        var ready = order.begin()
        var head = 0
        while head < ready.count {
            do { try start(ready[head]) } catch {
                unwind()
                throw error.adding(errors)
            }
            ready += order.up(ready[head])
            head += 1
        }
    }

    private func start(_ node: Int) throws(ServiceError) {
        let service = ObjectIdentifier(services[node])
        switch BlockingHolds.acquire(service) {
        case .running: return
        case .busy:
            let names = graph.path(node).split(separator: "/").map(String.init)
            throw ServiceError(.cycle([graph.names[node]] + names), service: graph.path(node))
        case .mine:
            do { try services[node].start() } catch {
                BlockingHolds.forget(service)
                throw ServiceError(.startFailed, service: graph.path(node), cause: error)
            }
            BlockingHolds.didStart(service)
        }
    }

    func stop() -> TreeEnd {
        unwind()
        return TreeEnd(reason: .requested, error: errors.first?.adding(Array(errors.dropFirst())))
    }

    /// Stops whatever this tree was the last to hold.
    private func unwind() {
        var stop = StopOrder(after: order)
        var free = stop.begin()
        var head = 0
        while head < free.count {
            let node = free[head]
            head += 1
            if order.marks[node] == .up, BlockingHolds.release(ObjectIdentifier(services[node])) {
                do { try services[node].stop() } catch {
                    errors.append(ServiceError(.stopFailed, service: graph.path(node), cause: error))
                }
                BlockingHolds.forget(ObjectIdentifier(services[node]))
            }
            free += stop.down(node)
        }
    }
}
