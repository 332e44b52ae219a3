// Code of the program's own that prints, in a process that must not wait for the reader.

import CPrefork
import Glibc

/// Standard output and standard error go into memory while such code runs, if a pipe, a socket or a terminal could make
/// it wait. There is no other way for print(_:): O_NONBLOCK would be the flag of every process that shares the open
/// file, and a write that fails ends programs that use Foundation's FileHandle.
///
/// For the only thread of a process. What a program that such code has started writes after `end` is refused.
package enum DivertedOutput {
    /// What was printed.
    package struct Text: Sendable {
        package var output: [UInt8] = []
        package var errors: [UInt8] = []
    }

    /// What is kept of each.
    private static let limit = 1 << 20

    /// Pairs nest.
    package static func begin() { cprefork_divert_output() }

    /// - Returns: what must be passed on to descriptors 1 and 2. Nil inside another pair, whose end gets it.
    package static func end() -> Text? {
        var memory: [Int32] = [-1, -1]
        guard cprefork_return_output(&memory) != 0 else { return nil }
        return Text(output: contents(memory[0]), errors: contents(memory[1]))
    }

    private static func contents(_ number: Int32) -> [UInt8] {
        guard number >= 0 else { return [] }
        let file = Descriptor(owning: number)
        var status = stat()
        guard fstat(file.number, &status) == 0, status.st_size > 0 else { return [] }
        let size = min(Int(status.st_size), limit)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = max(0, pread(file.number, buffer.baseAddress, size, 0))
        }
    }
}
