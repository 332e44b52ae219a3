// Strings as a system call wants them: ended by NUL, in tables ended by NULL.

/// One allocation that holds C strings and tables of them, for as long as a call needs them.
struct CStringArena: ~Copyable {
    typealias Table = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    private var used = 0

    /// - Parameters:
    ///   - tables: how many entries each table will have, without its NULL.
    ///   - stringBytes: the bytes of all strings, without their NULs.
    ///   - strings: how many strings.
    init(tables: [Int], stringBytes: Int, strings: Int) {
        let entries = tables.reduce(0) { $0 + $1 + 1 }
        capacity = entries * MemoryLayout<UnsafeMutablePointer<CChar>?>.stride + stringBytes + strings
        base = .allocate(byteCount: max(1, capacity), alignment: MemoryLayout<UnsafeMutablePointer<CChar>?>.alignment)
    }

    deinit {
        base.deallocate()
    }

    /// Room for `count` entries and the NULL. All tables before the first string, or their alignment is lost.
    mutating func table(count: Int) -> Table {
        let size = (count + 1) * MemoryLayout<UnsafeMutablePointer<CChar>?>.stride
        let table = take(size).bindMemory(to: UnsafeMutablePointer<CChar>?.self, capacity: count + 1)
        table.initialize(repeating: nil, count: count + 1)
        return table
    }

    mutating func string(_ bytes: [UInt8]) -> UnsafeMutablePointer<CChar> {
        let string = take(bytes.count + 1)
        string.copyMemory(from: bytes, byteCount: bytes.count)
        string.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
        return string.bindMemory(to: CChar.self, capacity: bytes.count + 1)
    }

    /// A table of strings in one step.
    mutating func fill(_ table: Table, _ strings: [[UInt8]]) {
        for (index, bytes) in strings.enumerated() { table[index] = string(bytes) }
    }

    private mutating func take(_ size: Int) -> UnsafeMutableRawPointer {
        // The only caller has counted the same values that it then puts in. The check guards against later changes.
        precondition(used + size <= capacity, "an arena of \(capacity) bytes has no room for \(used) + \(size)")
        defer { used += size }
        return base + used
    }
}
