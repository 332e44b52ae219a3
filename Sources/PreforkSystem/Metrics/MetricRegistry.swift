// The series of this process.

import Synchronization

/// Which series this process knows, and where each one's words are.
///
/// Series that were made before a fork have the same place in the child. The supervisor knows them. What a child makes
/// afterwards it describes in its own memory, where the supervisor finds it.
package enum MetricRegistry {
    fileprivate struct State {
        var series: [MetricDescription] = []
        /// Where each begins.
        var words: [MetricDescription.Key: Int] = [:]
        var families = MetricFamilies()
        var nextWord = MetricLayout.firstWord
        var samples = 0
        var refused: UInt64 = 0
        /// This process is a supervised child.
        var describes = false
        var describedBytes = 0
    }

    private static let state = Mutex(State())

    /// The place of a series, which is made if it is not there.
    ///
    /// - Throws: `.conflict` with another series of this process.
    static func cell(of description: MetricDescription) throws(MetricError) -> MetricCell {
        guard let base = MetricWindow.base else { return MetricCell(word: 0, of: withoutMemory) }
        let result: Result<Int, MetricError> = state.withLock { state in
            do throws(MetricError) {
                return .success(try state.word(of: description, base))
            } catch {
                return .failure(error)
            }
        }
        return MetricCell(word: try result.get(), of: base)
    }

    /// Where a process counts that has no addresses left for metrics. Never read.
    nonisolated(unsafe) private static let withoutMemory: UnsafeMutableRawPointer = {
        // Proof of `nonisolated(unsafe)`: an address that never changes, of words that are only used as atomic ones.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 1_024, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: 1_024)
        return memory
    }()

    /// The series from this number on, in the order of their words.
    package static func series(from number: Int) -> ArraySlice<MetricDescription> {
        state.withLock { $0.series.dropFirst(number) }
    }

    /// At the beginning of the window, all words of the series that are known.
    static var usedBytes: Int { state.withLock { $0.nextWord * 8 } }

    package static var count: Int { state.withLock { $0.series.count } }

    /// Whether this process is a supervised child.
    package static var isChild: Bool { state.withLock { $0.describes } }

    /// In a supervised child, whose window has just become its own: what is made from here on is described there.
    package static func enterChild() {
        state.withLock { state in
            state.describes = true
            state.describedBytes = 0
            state.refused = 0
        }
    }
}

extension MetricRegistry.State {
    fileprivate mutating func word(
        of description: MetricDescription, _ base: UnsafeMutableRawPointer
    ) throws(MetricError) -> Int {
        if let word = words[description.key] {
            try families.check(description)
            return word
        }
        try families.check(description)
        let word = nextWord
        let fits =
            word + description.kind.words <= MetricLayout.words
            && samples + description.kind.samples <= MetricLayout.mostSamples
        // Described before anything is counted there: a process that dies in between has counted nothing.
        guard fits, !describes || describe(description, base) else {
            refused += 1
            MetricCell(word: 0, of: base).store(refused)
            return MetricLayout.scratchWord
        }
        families.add(description)
        series.append(description)
        words[description.key] = word
        nextWord += description.kind.words
        samples += description.kind.samples
        return word
    }

    /// Proof: the bytes end before the area does, and only this process writes there, within the registry's lock.
    private mutating func describe(_ description: MetricDescription, _ base: UnsafeMutableRawPointer) -> Bool {
        let bytes = description.bytes
        guard describedBytes + bytes.count <= MetricLayout.descriptionsCapacity else { return false }
        (base + MetricLayout.descriptionsStart + describedBytes).copyMemory(from: bytes, byteCount: bytes.count)
        describedBytes += bytes.count
        (base + MetricLayout.descriptionsLength).assumingMemoryBound(to: Atomic<UInt64>.self)
            .pointee.store(UInt64(describedBytes), ordering: .releasing)
        return true
    }
}
