// The labels whose requests are refused, in memory that the supervisor writes and its workers read.

import Synchronization

/// Where the list stands, in words of eight bytes.
///
/// | words           | what                                                                             |
/// |-----------------|----------------------------------------------------------------------------------|
/// | 0               | the count in the low byte, above it a number that is odd during a change         |
/// | 8 + 24 × entry  | nanoseconds of CLOCK_MONOTONIC until which it is refused, or 0 for permanently   |
/// | + 1             | the length of the label, in bytes                                                |
/// | + 2 ..< 18      | the label, padded with zeroes                                                    |
package struct QuarantineList: @unchecked Sendable {
    // Sendable: an address that never changes, of memory that is accessed atomically.

    /// An entry of the list.
    package struct Entry: Equatable, Sendable {
        /// At most 128 bytes.
        package var label: [UInt8]
        /// If nil, until it is removed from the list.
        package var until: MonotonicInstant?

        package init(label: [UInt8], until: MonotonicInstant?) {
            self.label = Array(label.prefix(RequestRingLayout.labelLimit))
            self.until = until
        }
    }

    package static let mostEntries = 64
    package static let byteCount = (firstEntry + mostEntries * entryWords) * 8
    private static let firstEntry = 8
    private static let entryWords = 24
    private static let textWords = RequestRingLayout.labelLimit / 8

    private let base: UnsafeMutableRawPointer

    /// - Parameter base: `byteCount` bytes, aligned to eight, mapped for as long as the list is used. Only `set`
    ///   writes.
    package init(at base: UnsafeMutableRawPointer) { self.base = base }

    /// Proof: the word belongs to the layout above, within `byteCount` bytes. The memory is only ever used as these
    /// atomic words.
    @inline(__always)
    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Whether nothing is refused. One load.
    @inline(__always)
    package var isEmpty: Bool { word(0).pointee.load(ordering: .relaxed) & 0xFF == 0 }

    /// Whether requests of this label are refused, in a worker.
    ///
    /// - Parameter includesQuery: as for the request's mark.
    /// - Returns: nil when they are not. While the supervisor changes the list, they may not be.
    package func entry(of label: UnsafeRawBufferPointer, includesQuery: Bool) -> Entry? {
        let kept = label.prefix(RequestRingLayout.labelLimit)
        let bytes = Array(includesQuery ? kept : kept.prefix { $0 != UInt8(ascii: "?") })
        for _ in 0..<4 {
            let before = word(0).pointee.load(ordering: .acquiring)
            guard (before >> 8).isMultiple(of: 2) else { continue }
            let found = find(bytes, among: min(Int(before & 0xFF), Self.mostEntries))
            atomicMemoryFence(ordering: .acquiring)
            if word(0).pointee.load(ordering: .relaxed) == before { return found }
        }
        return nil
    }

    private func find(_ label: [UInt8], among count: Int) -> Entry? {
        let words = Self.words(of: label)
        for index in 0..<count {
            let first = Self.firstEntry + index * Self.entryWords
            func load(_ offset: Int) -> UInt64 { word(first + offset).pointee.load(ordering: .relaxed) }
            guard load(1) == UInt64(label.count) else { continue }
            if words.indices.allSatisfy({ load(2 + $0) == words[$0] }) {
                let until = load(0)
                return Entry(
                    label: label, until: until == 0 ? nil : MonotonicInstant(nanoseconds: Int64(clamping: until)))
            }
        }
        return nil
    }

    /// Replaces the list, in the supervisor.
    ///
    /// - Parameter entries: at most `mostEntries`.
    package func set(_ entries: [Entry]) {
        let count = min(entries.count, Self.mostEntries)
        let number = word(0).pointee.load(ordering: .relaxed) >> 8
        // Even after a previous program was stopped within this function.
        let odd = (number | 1) &+ (number.isMultiple(of: 2) ? 0 : 2)
        word(0).pointee.store(odd << 8 | 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        for (index, entry) in entries.prefix(count).enumerated() {
            let first = Self.firstEntry + index * Self.entryWords
            func store(_ value: UInt64, _ offset: Int) { word(first + offset).pointee.store(value, ordering: .relaxed) }
            store(entry.until.map { UInt64(max(1, $0.nanoseconds)) } ?? 0, 0)
            store(UInt64(entry.label.count), 1)
            for (offset, word) in Self.words(of: entry.label).enumerated() { store(word, 2 + offset) }
        }
        word(0).pointee.store((odd &+ 1) << 8 | UInt64(count), ordering: .releasing)
    }

    private static func words(of label: [UInt8]) -> [UInt64] {
        (0..<textWords).map { index in
            label.dropFirst(index * 8).prefix(8).enumerated()
                .reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
        }
    }
}
