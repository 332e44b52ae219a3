// A message that is too large for the ring: a memory file beside it.

import PreforkSystem

/// A sealed memory file with the bytes of one message.
final class PayloadFile: Sendable {
    private let file: MemoryFile
    let byteCount: Int

    var number: Int32 { file.descriptor.number }

    /// Holds a copy of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        file = try MemoryFile(name: "prefork-message", byteCount: bytes.count)
        byteCount = bytes.count
        try file.write(bytes)
    }

    /// The bytes of a file that has come from elsewhere.
    ///
    /// - Parameter byteCount: what the record says. The file must be sealed and have just that size, or nothing is
    ///   allocated.
    /// - Returns: nil for a file that is none of this package's.
    static func read(_ descriptor: consuming Descriptor, byteCount: Int) throws(SystemError) -> [UInt8]? {
        let file = MemoryFile(owning: descriptor)
        guard try file.sealedByteCount() == byteCount else { return nil }
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
