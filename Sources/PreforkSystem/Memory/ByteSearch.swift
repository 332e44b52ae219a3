// Finding bytes, with the C library's vector code.

import CPrefork
import Glibc

extension UnsafeRawBufferPointer {
    /// The offset of the first `byte` at or after `start`, or nil if there is no such byte.
    package func firstOffset(of byte: UInt8, from start: Int = 0) -> Int? {
        guard start < count, let base = baseAddress else { return nil }
        guard let found = memchr(base + start, Int32(byte), count - start) else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// The offset of the last `byte` at or after `start`, or nil if there is no such byte.
    package func lastOffset(of byte: UInt8, from start: Int = 0) -> Int? {
        guard start < count, let base = baseAddress else { return nil }
        guard let found = cprefork_find_last(base + start, count - start, Int32(byte)) else { return nil }
        return found - base
    }

    /// How often `byte` is there.
    package func count(of byte: UInt8) -> Int {
        var count = 0
        // A plain loop: the compiler makes vector code of it.
        for each in self where each == byte { count &+= 1 }
        return count
    }

    /// The offset of the first `sequence` at or after `start`, or nil if there is no such sequence. An empty sequence
    /// is at `start`.
    package func firstOffset(of sequence: [UInt8], from start: Int = 0) -> Int? {
        guard start + sequence.count <= count, let base = baseAddress else { return nil }
        guard let found = cprefork_find(base + start, count - start, sequence, sequence.count) else { return nil }
        return found - base
    }
}
