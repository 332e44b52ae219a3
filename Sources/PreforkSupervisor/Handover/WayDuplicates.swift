// The ways to workers, kept for the previous program while a rollback is possible.

import PreforkSystem

/// Duplicates of the supervisor's ends, by the workers' spawns: the previous program has connections come back by them.
struct WayDuplicates {
    private var ends: [UInt64: Int32] = [:]

    init() {}

    /// What the previous program has duplicated itself.
    init(_ item: HandoverItem?) {
        guard let item else { return }
        let spawns = item.text.split(separator: " ").map { UInt64($0) }
        guard spawns.count == item.descriptors.count else { return }
        for case (let spawn?, let number) in zip(spawns, item.descriptors) where ends[spawn] == nil {
            ends[spawn] = number
        }
    }

    var all: [Int32] { Array(ends.values) }

    /// - Parameters:
    ///   - routes: those of this program.
    ///   - living: the workers that live now.
    /// - Returns: what the previous program gets. A worker for whose way there is no descriptor left drains its connections.
    mutating func describe(_ routes: HandoverRoutes, living: Set<UInt64>) -> HandoverItem {
        for (spawn, end) in routes.ends where living.contains(spawn) && ends[spawn] == nil {
            ends[spawn] = try? duplicate(end)
        }
        let sorted = ends.filter { living.contains($0.key) }.sorted { $0.key < $1.key }
        return HandoverItem(
            kind: HandoverRoutes.handoverKind, key: "", descriptors: sorted.map(\.value),
            text: sorted.map { "\($0.key)" }.joined(separator: " "))
    }

    /// Closes those of other workers than these.
    mutating func forget(besides living: Set<UInt64>, keeping kept: Set<Int32>) {
        for (spawn, number) in ends where !living.contains(spawn) {
            ends[spawn] = nil
            if !kept.contains(number) { closeDescriptor(number) }
        }
    }
}
