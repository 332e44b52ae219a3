// A message that is too large for the ring: a memory file beside it.

import PreforkSystem

/// A sealed memory file with the bytes of one message, which may have held others before.
final class PayloadFile: Sendable {
    private let file: ReusableMemoryFile
    private let pool: PayloadPool?
    let byteCount: Int
    /// Its place in the pool. The receiver frees it there.
    let slot: Int?

    var number: Int32 { file.number }

    /// Holds a copy of `bytes`.
    init(
        _ bytes: UnsafeRawBufferPointer, in file: ReusableMemoryFile, of pool: PayloadPool?, slot: Int?
    ) throws(SystemError) {
        self.file = file
        self.pool = pool
        self.slot = slot
        byteCount = bytes.count
        try file.write(bytes)
    }

    deinit {
        if let slot { pool?.release(slot) }
    }

    /// The bytes of a file that has come from elsewhere.
    ///
    /// - Parameter byteCount: what the record says. The file must be sealed and have at least that size, or nothing is
    ///   allocated.
    /// - Returns: nil if this package did not make the file.
    static func read(_ descriptor: consuming Descriptor, byteCount: Int) throws(SystemError) -> [UInt8]? {
        let file = MemoryFile(owning: descriptor)
        guard try file.sealedByteCount() >= byteCount else { return nil }
        var isWhole = false
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { space, count in
            do throws(SystemError) {
                isWhole = try file.read(into: UnsafeMutableRawBufferPointer(start: space.baseAddress, count: byteCount))
            } catch {
                failure = error
            }
            count = isWhole ? byteCount : 0
        }
        if let failure { throw failure }
        return isWhole ? bytes : nil
    }
}
