// Bells that other processes have, too.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

/// An object, because the macros of the tests copy what they look at.
private final class HeldBell: Sendable {
    private let bell: Bell

    var number: Int32 { bell.descriptor.number }

    init() throws {
        bell = try Bell()
    }

    func clear() {
        bell.clear()
    }
}

/// Sees the edges of one bell.
private final class Edges {
    private let epoll: Epoll
    private var events = EpollEventBuffer(capacity: 4)

    init(of number: Int32) throws {
        epoll = try Epoll()
        try epoll.add(number, .readableOnce, word: 1)
    }

    func count(within nanoseconds: Int64) throws -> Int {
        try events.wait(epoll, timeout: nanoseconds)
        return events.count
    }
}

@Suite(.timeLimit(.minutes(2))) struct BellTests {
    enum Way: CaseIterable {
        /// TFD_IOC_SET_TICKS where the kernel has it.
        case usual
        /// What kernels without it do.
        case timer

        func ring(_ number: Int32) {
            switch self {
            case .usual: Bell.ring(number)
            case .timer: Bell.ringByTimer(number)
            }
        }
    }

    @Test(arguments: Way.allCases) func eachRingIsAnEdgeForEveryEpoll(way: Way) throws {
        let bell = try HeldBell()
        let first = try Edges(of: bell.number)
        let second = try Edges(of: bell.number)
        // Never cleared in between.
        for _ in 0..<100 {
            way.ring(bell.number)
            #expect(try first.count(within: 10_000_000_000) == 1)
            #expect(try second.count(within: 10_000_000_000) == 1)
            #expect(try first.count(within: 0) == 0)
        }
    }

    @Test(arguments: Way.allCases) func aBellIsReadableFromItsRingToItsClearing(way: Way) throws {
        let bell = try HeldBell()
        #expect(try !Polling.waitUntilReadable([bell.number], until: .now))
        way.ring(bell.number)
        #expect(try Polling.waitUntilReadable([bell.number], until: .now + .seconds(10)))
        #expect(try Polling.waitUntilReadable([bell.number], until: .now))
        bell.clear()
        #expect(try !Polling.waitUntilReadable([bell.number], until: .now))
    }

    /// All that another process can do to the open file that it shares.
    @Test(arguments: Way.allCases) func nothingDoneToABellHoldsItsUsers(way: Way) async throws {
        let bell = try HeldBell()
        let other = dup(bell.number)
        defer { close(other) }
        #expect(fcntl(other, F_SETFL, 0) == 0)
        var bytes = [UInt8](repeating: 0xFF, count: 4096)
        #expect(write(other, &bytes, 8) == -1)
        #expect(shutdown(other, Int32(SHUT_RDWR)) == -1)
        Bell.ringByTimer(other)
        for _ in 0..<1_000 {
            way.ring(bell.number)
            bell.clear()
        }
        #expect(try !Polling.waitUntilReadable([bell.number], until: .now))
        way.ring(bell.number)
        #expect(try Polling.waitUntilReadable([bell.number], until: .now + .seconds(10)))
    }

    @Test func anotherKindOfDescriptorIsNoBell() throws {
        let counter = try EventCounter()
        let number = counter.descriptor.number
        #expect(!isBell(dup(number)))
        #expect(!isBell(open("/dev/null", O_RDONLY)))
        let bell = try HeldBell()
        #expect(isBell(dup(bell.number)))
    }

    private func isBell(_ number: Int32) -> Bool {
        do {
            let bell = try Bell(adopting: Descriptor(owning: number))
            return bell.descriptor.number == number
        } catch {
            return false
        }
    }
}
