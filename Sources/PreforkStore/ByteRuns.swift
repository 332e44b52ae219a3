// Comparing and copying short runs of bytes without a call.

/// Whether two equally long runs of bytes are the same.
///
/// By words, the last of which overlaps the one before: no loop over single bytes for any length from 4 on.
@inline(__always)
func areEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
    if count >= 8 {
        var position = 0
        let last = count &- 8
        while position < last {
            if word(a, position) != word(b, position) { return false }
            position &+= 8
        }
        return word(a, last) == word(b, last)
    }
    if count >= 4 { return half(a, 0) == half(b, 0) && half(a, count &- 4) == half(b, count &- 4) }
    for index in 0..<count where byte(a, index) != byte(b, index) { return false }
    return true
}

/// Copies short runs by words as above; long ones as memcpy(3) does.
@inline(__always)
func copyBytes(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
    if count > 256 {
        target.copyMemory(from: source, byteCount: count)
    } else if count >= 16 {
        var position = 0
        let last = count &- 16
        while position < last {
            copyPair(source, target, position)
            position &+= 16
        }
        copyPair(source, target, last)
    } else if count >= 8 {
        let end = word(source, count &- 8)
        target.storeBytes(of: word(source, 0), as: UInt64.self)
        target.storeBytes(of: end, toByteOffset: count &- 8, as: UInt64.self)
    } else {
        for index in 0..<count { target.storeBytes(of: byte(source, index), toByteOffset: index, as: UInt8.self) }
    }
}

@inline(__always)
private func copyPair(_ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ offset: Int) {
    target.storeBytes(
        of: source.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self), toByteOffset: offset,
        as: SIMD2<UInt64>.self)
}

@inline(__always)
private func word(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
}

@inline(__always)
private func half(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt32 {
    bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
}

@inline(__always)
private func byte(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt8 {
    bytes.load(fromByteOffset: offset, as: UInt8.self)
}
