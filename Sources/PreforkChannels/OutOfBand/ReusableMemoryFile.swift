// A memory file that carries messages, one after another.

import PreforkSystem

/// A memory file of fixed size.
final class ReusableMemoryFile: Sendable {
    private let file: MemoryFile
    let byteCount: Int

    var number: Int32 { file.descriptor.number }

    init(byteCount: Int) throws(SystemError) {
        file = try MemoryFile(name: "prefork-message", byteCount: byteCount)
        self.byteCount = byteCount
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try file.write(bytes)
    }
}
