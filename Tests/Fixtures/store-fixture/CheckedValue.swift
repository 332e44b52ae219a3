// Values that tell whether they are whole.

import PreforkSystem

/// Bytes that name their key and length and end in a checksum of all of it.
enum CheckedValue {
    static func make(key: Int, length: Int, _ random: inout SplitMix64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length + 24)
        append(UInt64(key), to: &bytes)
        append(UInt64(length), to: &bytes)
        var word = random.next()
        for index in 0..<length {
            if index % 8 == 0 { word = word &* 0x2545_F491_4F6C_DD1D &+ 1 }
            bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(index % 8 * 8)))
        }
        append(sum(bytes[...]), to: &bytes)
        return bytes
    }

    static func isWhole(_ bytes: [UInt8], key: Int) -> Bool {
        guard bytes.count >= 24 else { return false }
        let length = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        let owner = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        let end = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self) }
        return owner == UInt64(key) && Int(length) == bytes.count - 24 && end == sum(bytes.dropLast(8))
    }

    private static func append(_ word: UInt64, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: word) { bytes += $0 }
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}
