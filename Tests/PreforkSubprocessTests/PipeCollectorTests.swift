// A collector that is ended from within.

import Glibc
import PreforkEventLoop
import PreforkSystem
import Testing

@testable import PreforkSubprocess

@Suite struct PipeCollectorTests {
    @Test func aCollectorThatIsEndedByItsOverflowLeavesTheNextFileOfItsNumberAlone() throws {
        let pipe = try makePipe(), other = try makePipe()
        defer { for fd in [pipe.reading, pipe.writing, other.reading, other.writing] { closeDescriptor(fd) } }
        let text = [UInt8](repeating: 1, count: 100)
        for writing in [pipe.writing, other.writing] {
            #expect(try text.withUnsafeBytes { bytes throws(SystemError) in try writeBytes(to: writing, bytes) } == 100)
        }
        // A number that nothing beside this test comes to by itself.
        let number = fcntl(pipe.reading, F_DUPFD_CLOEXEC, 700)
        try #require(number >= 700)
        let collected = Collected(limit: 10, overflow: .stop)
        var overflows = 0
        var collector: PipeCollector?
        collector = PipeCollector(owning: number, into: collected, on: try EventLoop()) {
            overflows += 1
            collector?.endWithWaitingBytes()
            #expect(fcntl(other.reading, F_DUPFD_CLOEXEC, number) == number)
        }
        defer { closeDescriptor(number) }
        collector?.endWithWaitingBytes()
        #expect(collector?.hasEnded == true && overflows == 1)
        #expect(collected.bytes == [UInt8](repeating: 1, count: 10))
        #expect(waitingByteCount(pipe.reading) == 0 && waitingByteCount(other.reading) == 100)
        collector = nil
    }
}
