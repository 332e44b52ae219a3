// What a besieged pool writes to its standard streams, read at once.

import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// Reads a pipe on a separate thread until no process has its other end: a program that prints waits while the pipe is
/// full, and must not wait for the judge, which waits for its answers.
final class PoolOutput: Sendable {
    private let number: Int32
    private let bytes = Mutex<[UInt8]>([])

    /// - Parameter number: the reading end, which this object owns.
    init(_ number: Int32) { self.number = number }

    func begin() throws { try startThread { self.read() } }

    func take() -> [UInt8] {
        bytes.withLock { bytes in
            defer { bytes = [] }
            return bytes
        }
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(number, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes.withLock { $0 += chunk[..<count] }
        }
        close(number)
    }
}
