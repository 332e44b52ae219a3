// The recorded steps, in order.

import Synchronization

/// A log of steps: `start database`, `stop database`. Any task and any thread may write to it.
public final class OrderRecorder: Sendable {
    private let steps = Mutex<[String]>([])

    /// An empty log.
    public init() {}

    /// Appends a step, by convention a verb and a name: `start database`.
    public func record(_ step: String) { steps.withLock { $0.append(step) } }

    /// All steps so far, in the order they were recorded.
    public var entries: [String] { steps.withLock { $0 } }

    /// The steps of one kind, without the word: `all("start")` is the names in the order of their starts.
    public func all(_ verb: String) -> [String] {
        entries.filter { $0.hasPrefix(verb + " ") }.map { String($0.dropFirst(verb.count + 1)) }
    }

    /// How often exactly this step was recorded.
    public func count(_ step: String) -> Int { entries.count { $0 == step } }

    /// Whether exactly this step was recorded.
    public func contains(_ step: String) -> Bool { entries.contains(step) }
}
