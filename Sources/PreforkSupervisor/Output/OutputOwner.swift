// The child behind a stream of output.

/// The child that wrote the output.
enum OutputOwner: Hashable, Sendable {
    case worker(Int)
    case target(String)

    /// As the supervisor calls it, and as it calls itself.
    var name: String {
        switch self {
        case .worker(let slot): "worker \(slot)"
        case .target(let name): name
        }
    }

    func cause(_ event: LogEvent) -> LogCause {
        switch self {
        case .worker(let slot): .worker(slot, event)
        case .target(let name): .target(name, event)
        }
    }
}
