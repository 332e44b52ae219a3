// Which slots get another process when theirs dies, in shared memory that only the supervisor can write.

import Synchronization

/// A supervisor's table of the slots that it will fill again. Its children read it after a peer's death: a caller of a
/// dead process waits for the next one only if there will be one.
///
/// | word         | meaning                                                                                   |
/// |--------------|-------------------------------------------------------------------------------------------|
/// | 0, 1         | the supervisor's process: ID and start time. Its promises end with it                     |
/// | 2            | places in use: no place from this one on has ever been used                               |
/// | 4 + 2 × n    | the slot's identity, or 0                                                                 |
/// | 5 + 2 × n    | bit 0: it is a worker's. Above: the first process (its spawn) that the promise is for     |
///
/// A promise that was broken and is made anew is for the processes after that: calls that had waited for a successor have
/// failed meanwhile.
package struct SlotPromises: @unchecked Sendable {
    // Sendable: atomic words, mapped for as long as the value is used.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let capacity: Int

    private static let headWords = 4

    package static func byteCount(capacity: Int) -> Int { (headWords + 2 * capacity) * 8 }

    /// - Parameters:
    ///   - base: `byteCount` bytes, aligned to 8, zero at first.
    ///   - capacity: how many slots there are at most. Further promises are not made.
    package init(at base: UnsafeMutableRawPointer, capacity: Int) {
        words = base.assumingMemoryBound(to: Atomic<UInt64>.self)
        self.capacity = capacity
    }

    private func read(_ index: Int) -> UInt64 { words[index].load(ordering: .acquiring) }
    private func write(_ value: UInt64, to index: Int) { words[index].store(value, ordering: .releasing) }

    private var count: Int { min(Int(clamping: read(2)), capacity) }
    private func identity(_ place: Int) -> UInt64 { read(Self.headWords + 2 * place) }
    private func details(_ place: Int) -> UInt64 { read(Self.headWords + 2 * place + 1) }

    // The supervisor

    /// From now on the promises are those of `process`.
    package func begin(as process: ProcessIdentity) {
        write(process.startTime, to: 1)
        write(UInt64(process.pid), to: 0)
    }

    /// Promises that the slot is filled again. A promise that is there already stays as it is.
    ///
    /// - Parameter first: the first spawn that it is for.
    package func make(_ slot: UInt64, from first: UInt64, isWorker: Bool) {
        let count = count
        var place = count
        for known in 0..<count {
            let found = identity(known)
            if found == slot { return }
            if found == 0 { place = min(place, known) }
        }
        guard place < capacity else { return }
        write(first << 1 | (isWorker ? 1 : 0), to: Self.headWords + 2 * place + 1)
        write(slot, to: Self.headWords + 2 * place)
        if place == count { write(UInt64(count + 1), to: 2) }
    }

    /// No other process will come to the slot by itself.
    package func end(_ slot: UInt64) {
        for place in 0..<count where identity(place) == slot { write(0, to: Self.headWords + 2 * place) }
    }

    /// Ends the promises of another image of the program that this one does not keep.
    package func endAll(except kept: Set<UInt64>, areWorkers: Bool) {
        for place in 0..<count where details(place) & 1 == (areWorkers ? 1 : 0) && !kept.contains(identity(place)) {
            write(0, to: Self.headWords + 2 * place)
        }
    }

    // Its children

    private func holds(for slot: UInt64, _ spawn: UInt64) -> Bool {
        for place in 0..<count where identity(place) == slot {
            let first = details(place) >> 1
            // Otherwise the place was given to another slot meanwhile.
            if identity(place) == slot, first <= spawn { return supervisorLives }
        }
        return false
    }

    private var supervisorLives: Bool {
        let pid = Int32(truncatingIfNeeded: read(0))
        return pid > 0 && ProcessIdentity(pid: pid, startTime: read(1)).isAlive
    }

    private static let tables = Mutex<[SlotPromises]>([])

    /// Makes `hold` consult the table in this process, and in those that it forks, until `forget`.
    package static func watch(_ table: SlotPromises) {
        tables.withLock { $0.append(table) }
    }

    package static func forget(_ table: SlotPromises) {
        tables.withLock { $0.removeAll { $0.words == table.words } }
    }

    /// Whether another process will take the place of that slot's process, if that has died.
    ///
    /// - Parameters:
    ///   - slot: the slot's identity; 0: the process filled none.
    ///   - spawn: of the process. The highest number: whether the slot will be filled, whatever was promised before.
    package static func hold(for slot: UInt64, spawn: UInt64) -> Bool {
        if slot == 0 { return false }
        return tables.withLock { $0.contains { $0.holds(for: slot, spawn) } }
    }
}
