// Copying a label into shared memory, word by word.

import Synchronization

enum RequestLabelText {
    /// Copies at most 128 bytes.
    ///
    /// - Parameters:
    ///   - words: 16 of them.
    ///   - endsBeforeQuery: the copy ends before the first `?`.
    /// - Returns: how many bytes count. Those behind them in the last word are any.
    @inline(__always)
    static func copy(
        _ source: UnsafeRawBufferPointer, to words: UnsafeMutablePointer<Atomic<UInt64>>, endsBeforeQuery: Bool
    ) -> Int {
        // A buffer without bytes may have no address.
        guard let base = source.baseAddress else { return 0 }
        let count = min(source.count, RequestRingLayout.labelLimit)
        var offset = 0
        while count - offset >= 8 {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            words[offset / 8].store(word, ordering: .relaxed)
            if endsBeforeQuery {
                let found = firstQuestionMark(word)
                if found < 8 { return offset + found }
            }
            offset += 8
        }
        guard offset < count else { return count }
        let rest = count - offset
        let word = tail(base + offset, rest)
        words[offset / 8].store(word, ordering: .relaxed)
        return offset + (endsBeforeQuery ? min(rest, firstQuestionMark(word)) : rest)
    }

    /// The index of the first byte that is `?`, counted from the lowest, or 8 if there is no such byte. The lowest byte
    /// that is zero after the exclusive or is found exactly by the well-known carry trick. The result for the bytes
    /// above it may be wrong.
    @inline(__always)
    private static func firstQuestionMark(_ word: UInt64) -> Int {
        let zeroes = word ^ 0x3F3F_3F3F_3F3F_3F3F
        return ((zeroes &- 0x0101_0101_0101_0101) & ~zeroes & 0x8080_8080_8080_8080).trailingZeroBitCount / 8
    }

    /// One to seven bytes as the low bytes of a word, by loads that overlap instead of a loop.
    @inline(__always)
    private static func tail(_ base: UnsafeRawPointer, _ count: Int) -> UInt64 {
        func load(_ offset: Int) -> UInt64 { UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) }
        if count >= 4 {
            let low = UInt32(littleEndian: base.loadUnaligned(as: UInt32.self))
            let high = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self))
            return UInt64(low) | UInt64(high) << UInt64((count - 4) * 8)
        }
        return load(0) | load(count / 2) << UInt64(count / 2 * 8) | load(count - 1) << UInt64((count - 1) * 8)
    }
}
