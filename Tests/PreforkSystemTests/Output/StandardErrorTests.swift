// Standard error that other processes share: what they do to it makes no writer wait.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(1))) struct StandardErrorTests {
    private func write(_ text: String, to number: Int32) -> Bool {
        var text = text
        return text.withUTF8 { (try? writeWithoutBlocking(to: number, UnsafeRawBufferPointer($0))) != nil }
    }

    /// The other one has made it blocking and filled it. poll(2) says that it is writable when one page is free, and a
    /// longer line would then wait for ever.
    @Test func aFullBlockingPipeTakesWhatItHasRoomFor() throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        let room = Int(fcntl(ends[1], 1031, 8192))
        var page = [UInt8](repeating: 0, count: 4096)
        #expect(Glibc.write(ends[1], &page, 4096) == 4096)
        #expect(write(String(repeating: "x", count: room), to: ends[1]), "the part that fits")
        #expect(!write("y\n", to: ends[1]))
        #expect(read(ends[0], &page, 4096) == 4096)
        #expect(write("z\n", to: ends[1]))
    }

    @Test func aFullSocketTakesNothing() throws {
        let pair = try PacketPair()
        let number = pair.first.number
        _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK)
        var lines = 0
        while write("line\n", to: number), lines < 100_000 { lines += 1 }
        #expect(lines > 0 && lines < 100_000)
    }

    @Test func whatIsClosedOrBrokenIsNoTrap() throws {
        #expect(!write("x", to: 999))
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        signal(SIGPIPE, SIG_IGN)
        #expect(!write("x", to: ends[1]))
        #expect(write("", to: ends[1]))
    }

    @Test func aFileTakesEverything() throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        let file = open(path, O_WRONLY | O_APPEND)
        defer { close(file) }
        #expect(write(String(repeating: "line\n", count: 5_000), to: file))
        #expect(PreforkTestSupport.read(path).utf8.count == 25_000)
    }
}
