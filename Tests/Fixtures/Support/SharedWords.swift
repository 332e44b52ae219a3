// Memory that a scenario's processes share.

import PreforkSystem
import Synchronization

/// Words in memory that all processes of a scenario share. Zero at first. Never unmapped.
package struct SharedWords: @unchecked Sendable {
    // Sendable: the memory is never unmapped, and every word is atomic.
    private let base: UnsafeMutableRawPointer

    package init(_ count: Int = 64) throws {
        base = try sharedBytes(count * 64)
    }

    package subscript(index: Int) -> Int {
        get { word(index).pointee.load(ordering: .sequentiallyConsistent) }
        nonmutating set { word(index).pointee.store(newValue, ordering: .sequentiallyConsistent) }
    }

    /// Adds one, in one step.
    ///
    /// - Returns: the sum.
    package func next(_ index: Int) -> Int {
        word(index).pointee.add(1, ordering: .sequentiallyConsistent).newValue
    }

    /// A cache line for each, so that those of several writers are not in each other's way.
    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<Int>> {
        (base + index * 64).assumingMemoryBound(to: Atomic<Int>.self)
    }
}

/// Zeroed bytes that all processes of a scenario share. Kept mapped for ever.
package func sharedBytes(_ count: Int) throws -> UnsafeMutableRawPointer {
    final class Keeper {
        let mapping: SharedMapping
        init(_ mapping: consuming SharedMapping) { self.mapping = mapping }
    }
    let keeper = Keeper(try SharedMapping(byteCount: count))
    _ = Unmanaged.passRetained(keeper)
    return keeper.mapping.base
}
