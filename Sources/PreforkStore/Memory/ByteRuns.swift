// Comparing and copying short runs of bytes without a call.
//
// The code for the most common lengths of keys and values is inlined, and other lengths take a call. The functions that
// use this thus stay small enough for the processor to look ahead, and for the compiler to inline.

/// Whether two equally long runs of bytes are the same. By words, the last of which overlaps the one before.
@inline(__always)
func areEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
    if count > 16 || count < 8 { return areOddRunsEqual(a, b, count: count) }
    // A short string lies in two words that were stored just before, and a load across both must wait until they are in
    // the cache. From twelve bytes on, no load here crosses them.
    if count >= 12 {
        return word(a, 0) == word(b, 0) && half(a, 8) == half(b, 8) && half(a, count &- 4) == half(b, count &- 4)
    }
    return word(a, 0) == word(b, 0) && word(a, count &- 8) == word(b, count &- 8)
}

@inline(never)
private func areOddRunsEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
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

/// Copies a run of bytes. The two do not overlap.
@inline(__always)
func copyBytes(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
    if !copyShortRun(from: source, to: target, count: count) { copyOddRun(source, target, count) }
}

/// Copies a run of 8 to 64 bytes. The two do not overlap.
///
/// - Returns: false when it is shorter or longer: nothing was copied.
@inline(__always)
func copyShortRun(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) -> Bool {
    if UInt(bitPattern: count &- 32) <= 32 {
        copyPair(source, target, 0)
        copyPair(source, target, 16)
        copyPair(source, target, count &- 32)
        copyPair(source, target, count &- 16)
    } else if UInt(bitPattern: count &- 16) < 16 {
        copyPair(source, target, 0)
        copyPair(source, target, count &- 16)
    } else if UInt(bitPattern: count &- 8) < 8 {
        let end = word(source, count &- 8)
        target.storeBytes(of: word(source, 0), as: UInt64.self)
        target.storeBytes(of: end, toByteOffset: count &- 8, as: UInt64.self)
    } else {
        return false
    }
    return true
}

/// Whether it is a count for `copyShortRun`.
@inline(__always)
func isShortRun(_ count: Int) -> Bool { UInt(bitPattern: count &- 8) <= 56 }

@inline(never)
private func copyOddRun(_ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ count: Int) {
    if count >= 8 { return target.copyMemory(from: source, byteCount: count) }
    for index in 0..<count { target.storeBytes(of: byte(source, index), toByteOffset: index, as: UInt8.self) }
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
