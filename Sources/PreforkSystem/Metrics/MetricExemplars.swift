// Examples of what was counted, for OpenMetrics.

import Synchronization

/// One example: which request, or which trace, a count belongs to.
package struct MetricExemplar: Hashable, Sendable {
    package let labels: [MetricDescription.Label]
    package let value: Double
    /// Milliseconds since 1970.
    package let time: UInt64

    /// Characters of all names and values together (OpenMetrics 1.0, "Exemplars").
    package static let charactersLimit = 128
}

/// Examples in a process's memory: a table of 256 places, of which each series, or each bucket of one, has one by its
/// number. A later example takes the place of the one before.
///
/// | bytes of a place | what                                                        |
/// |------------------|-------------------------------------------------------------|
/// | 0 ..< 8          | odd while it is written                                     |
/// | 8 ..< 16         | the series' first word, and its bucket in the upper half    |
/// | 16 ..< 24        | the value                                                   |
/// | 24 ..< 32        | milliseconds since 1970                                     |
/// | 32 ..< 256       | how many bytes follow (2), then names and values, each with its length (2) |
package enum MetricExemplars {
    private static let placeBytes = 256
    package static let places = (MetricLayout.exemplarsEnd - MetricLayout.exemplarsStart) / placeBytes
    /// How many were ever written: without any, a reader touches no place.
    package static let countWord = MetricLayout.firstWord - 1

    private static let lock = Mutex(())

    /// Proof, here and below: the place is within the area, eight-byte aligned, and its words are atomic ones. Bytes are
    /// copied within the words' order, and a reader that sees another order throws them away.
    private static func word(_ place: UnsafeMutableRawPointer, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (place + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private static func place(_ number: Int, of base: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        base + MetricLayout.exemplarsStart + number * placeBytes
    }

    /// Leaves an example. What is no label, or is longer than the limit, is left out.
    static func write(_ labels: [String: String], value: Double, word series: Int, bucket: Int) {
        guard let base = MetricWindow.base, series >= MetricLayout.firstWord,
            let bytes = bytes(of: labels)
        else { return }
        lock.withLock { _ in
            let place = place((series &* 31 &+ bucket) % places, of: base)
            let version = word(place, 0).pointee.load(ordering: .relaxed)
            word(place, 0).pointee.store(version | 1, ordering: .relaxed)
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            word(place, 1).pointee.store(UInt64(series) | UInt64(bucket) << 32, ordering: .relaxed)
            word(place, 2).pointee.store(value.bitPattern, ordering: .relaxed)
            word(place, 3).pointee.store(UInt64(clamping: WallClock.milliseconds), ordering: .relaxed)
            (place + 32).copyMemory(from: bytes, byteCount: bytes.count)
            word(place, 0).pointee.store((version | 1) &+ 1, ordering: .releasing)
            let count = word(base, countWord)
            count.pointee.store(count.pointee.load(ordering: .relaxed) &+ 1, ordering: .releasing)
        }
    }

    private static func bytes(of labels: [String: String]) -> [UInt8]? {
        guard areWhole(labels.map { MetricDescription.Label($0.key, $0.value) }) else { return nil }
        var bytes: [UInt8] = []
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
            for text in [name, value] {
                bytes.append(littleEndian: UInt16(text.utf8.count))
                bytes += text.utf8
            }
        }
        guard bytes.count + 34 <= placeBytes else { return nil }
        var all: [UInt8] = []
        all.append(littleEndian: UInt16(bytes.count))
        return all + bytes
    }

    private static func areWhole(_ labels: [MetricDescription.Label]) -> Bool {
        labels.reduce(0) { $0 + $1.name.count + $1.value.count } <= MetricExemplar.charactersLimit
            && labels.allSatisfy { MetricDescription.isLabelName($0.name) } && Set(labels.map(\.name)).count == labels.count
    }

    /// What another process has left at `base`, in which anything may stand.
    ///
    /// - Returns: with the first word of each one's series, and its bucket.
    package static func read(_ base: UnsafeMutableRawPointer) -> [(word: Int, bucket: Int, MetricExemplar)] {
        guard word(base, countWord).pointee.load(ordering: .acquiring) != 0 else { return [] }
        return (0..<places).compactMap { number in
            let place = place(number, of: base)
            let version = word(place, 0).pointee.load(ordering: .acquiring)
            guard version != 0, version & 1 == 0 else { return nil }
            let key = word(place, 1).pointee.load(ordering: .relaxed)
            let value = Double(bitPattern: word(place, 2).pointee.load(ordering: .relaxed))
            let time = word(place, 3).pointee.load(ordering: .relaxed)
            let bytes = Array(UnsafeRawBufferPointer(start: place + 32, count: placeBytes - 32))
            atomicMemoryFence(ordering: .acquiring)
            // Written meanwhile: the next page has it.
            guard word(place, 0).pointee.load(ordering: .relaxed) == version, let labels = labels(of: bytes) else {
                return nil
            }
            let exemplar = MetricExemplar(labels: labels, value: value, time: min(time, 1 << 52))
            return (Int(key & 0xFFFF_FFFF), Int(key >> 32), exemplar)
        }
    }

    private static func labels(of bytes: [UInt8]) -> [MetricDescription.Label]? {
        var head = ByteFields(bytes[...])
        guard let length: UInt16 = head.integer(), Int(length) + 2 <= bytes.count else { return nil }
        var reader = ByteFields(bytes[2..<2 + Int(length)])
        var labels: [MetricDescription.Label] = []
        while let name = reader.text() {
            guard let value = reader.text() else { return nil }
            labels.append(MetricDescription.Label(name, value))
        }
        return areWhole(labels) ? labels : nil
    }
}
