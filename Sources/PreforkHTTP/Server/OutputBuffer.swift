// Bytes that are about to be sent.

import PreforkEventLoop

/// A buffer that is filled at the end and sent from the front. It borrows a chunk of the loop's pool and allocates only
/// when more than a chunk must be kept.
struct OutputBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0

    init() {}

    deinit { base?.deallocate() }

    var count: Int { end - start }

    /// The bytes that were not sent, valid until the next change of the buffer.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { $0 + start }, count: count)
    }

    /// How many bytes can be appended.
    var room: Int { capacity - end }

    /// Makes room for `wanted` more bytes.
    @inline(never)
    mutating func makeRoom(for wanted: Int, from loop: EventLoop) {
        let kept = count
        let isFirst = base == nil && wanted <= ChunkPool.chunkSize
        let larger = isFirst ? ChunkPool.chunkSize : max(capacity * 2, kept + wanted)
        let memory = isFirst ? loop.takeChunk() : .allocate(byteCount: larger, alignment: 16)
        if let base {
            memory.copyMemory(from: base + start, byteCount: kept)
            release(base, to: loop)
        }
        base = memory
        capacity = larger
        start = 0
        end = kept
    }

    private func release(_ memory: UnsafeMutableRawPointer, to loop: EventLoop) {
        if capacity == ChunkPool.chunkSize { loop.giveChunk(memory) } else { memory.deallocate() }
    }

    /// Gives the memory back if there is nothing to send.
    mutating func releaseIfEmpty(to loop: EventLoop) {
        guard count == 0, let base else { return }
        release(base, to: loop)
        self.base = nil
        capacity = 0
        start = 0
        end = 0
    }

    /// The first bytes were sent.
    mutating func removeFirst(_ count: Int) {
        start += min(count, self.count)
        if start == end {
            start = 0
            end = 0
        }
    }

    /// The last bytes are not sent after all.
    mutating func removeLast(_ count: Int) { end -= min(max(0, count), self.count) }

    mutating func removeAll() {
        start = 0
        end = 0
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        // A caller that has not reserved enough must not write behind the memory. No input decides it.
        precondition(bytes.count <= capacity - end, "\(bytes.count) bytes were not reserved")
        guard let base, let source = bytes.baseAddress else { return }
        (base + end).copyMemory(from: source, byteCount: bytes.count)
        end += bytes.count
    }

    /// Appends what `body` writes.
    ///
    /// - Parameter body: gets all the room there is and returns how many bytes it has written.
    @inline(__always)
    mutating func append(_ body: (UnsafeMutableRawBufferPointer) -> Int) {
        guard let base else { return }
        end += body(UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end))
    }

    /// With a name, because a literal without one is a `String` where that is possible, too.
    @inline(__always)
    mutating func append(literal text: StaticString) { append(text.bytes) }

    @inline(__always)
    mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

    @inline(__always)
    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// At most `numberLength` bytes.
    mutating func append(decimal number: Int) {
        if number.magnitude < 100, capacity - end >= 2, let base {
            // The length of a short answer, without the loops below.
            let number = UInt8(truncatingIfNeeded: number.magnitude)
            if number >= 10 { put(UInt8(ascii: "0") + number / 10, base) }
            return put(UInt8(ascii: "0") + number % 10, base)
        }
        var (digits, bound) = (1, UInt(10))
        while digits < Self.numberLength, number.magnitude >= bound {
            digits += 1
            bound = digits < Self.numberLength ? bound * 10 : .max
        }
        precondition(digits <= capacity - end, "a number was not reserved")
        guard let base else { return }
        var rest = number.magnitude
        for place in stride(from: end + digits - 1, through: end, by: -1) {
            (base + place).storeBytes(of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10), as: UInt8.self)
            rest /= 10
        }
        end += digits
    }

    @inline(__always)
    private mutating func put(_ byte: UInt8, _ base: UnsafeMutableRawPointer) {
        (base + end).storeBytes(of: byte, as: UInt8.self)
        end += 1
    }

    /// At most `numberLength` bytes.
    mutating func append(hexadecimal number: Int) {
        let digits = max(1, (UInt.bitWidth - number.magnitude.leadingZeroBitCount + 3) / 4)
        precondition(digits <= capacity - end, "a number was not reserved")
        guard let base else { return }
        for place in 0..<digits {
            let digit = UInt8(truncatingIfNeeded: number.magnitude >> UInt(4 * (digits - 1 - place)) & 15)
            let character = digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a")
            (base + end + place).storeBytes(of: character, as: UInt8.self)
        }
        end += digits
    }

    static let numberLength = 20
}
