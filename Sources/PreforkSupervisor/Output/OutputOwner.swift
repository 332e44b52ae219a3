// The child behind a stream of output.

/// The child that wrote the output.
enum OutputOwner: Hashable, Sendable {
    case worker(Int)
    case target(String)
    /// A spare worker, which has no slot yet.
    case spare

    /// As the supervisor calls it, and as it calls itself.
    var name: String {
        switch self {
        case .worker(let slot): "worker \(slot)"
        case .target(let name): name
        case .spare: "spare worker"
        }
    }

    func cause(_ event: LogEvent) -> LogCause {
        switch self {
        case .worker(let slot): .worker(slot, event)
        case .target(let name): .target(name, event)
        case .spare: .pool(event)
        }
    }
}
