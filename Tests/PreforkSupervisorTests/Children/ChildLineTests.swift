// The line between a child and its supervisor: what either side may find there.

import Synchronization
import Testing

@testable import PreforkSupervisor
@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct ChildLineTests {
    private func packet(_ code: UInt8) -> UInt64 { ControlPacket(manager: 3, target: 1, code: code).word }

    @Test func `Codes arrive in their order, and a full ring refuses`() throws {
        let board = try Scoreboard(lines: 2)
        let ring = board.controls(line: 1)
        var position: UInt64?
        for round in 0..<50 {
            let count = round % 17
            for code in 0..<count { #expect(ring.put(packet(UInt8(code)))) }
            let taken = ring.take(from: &position)
            #expect(taken == (0..<count).map { packet(UInt8($0)) })
        }
        for code in 0..<16 { #expect(ring.put(packet(UInt8(code)))) }
        #expect(!ring.put(packet(16)))
        var taken = ring.take(from: &position)
        #expect(taken.count == 16)
        #expect(ring.put(packet(17)))
        taken = ring.take(from: &position)
        #expect(taken == [packet(17)])
        taken = board.controls(line: 0).take(from: &position)
        #expect(taken.isEmpty)
    }

    @Test func `A line's durations and listeners are its own, and the next process begins without them`() throws {
        let board = try Scoreboard(lines: 3)
        board.requestDurations(line: 1).add(5)
        let bit = ServedListeners(all: 1 << 63, byHTTP: 1)
        #expect(board.noteServing(bit, line: 1) && !board.noteServing(bit, line: 1))
        #expect(board.noteServing(ServedListeners(all: 2, byHTTP: 0), line: 1))
        #expect(board.servedListeners(line: 1) == ServedListeners(all: 1 << 63 | 2, byHTTP: 1))
        for line in [0, 2] {
            #expect(board.requestDurations(line: line).counts.count == 0)
            #expect(board.servedListeners(line: line) == ServedListeners())
        }
        board.clear(line: 1)
        #expect(board.requestDurations(line: 1).counts == HistogramCounts(Scoreboard.requestDurations))
        #expect(board.servedListeners(line: 1) == ServedListeners())
    }

    @Test func `A reader that does not know where the last one was begins with the oldest`() throws {
        let board = try Scoreboard(lines: 1)
        let ring = board.controls(line: 0)
        var position: UInt64?
        for code in 0..<14 { _ = ring.put(packet(UInt8(code))) }
        _ = ring.take(from: &position)
        for code in 20..<24 { _ = ring.put(packet(UInt8(code))) }
        var other: UInt64?
        let taken = ring.take(from: &other)
        #expect(taken == (20..<24).map { packet(UInt8($0)) })
    }

    @Test func `A sender that was killed between its two steps leaves a ring that works`() throws {
        let board = try Scoreboard(lines: 1)
        let ring = board.controls(line: 0)
        let next = ring.base.assumingMemoryBound(to: Atomic<UInt64>.self)
        var position: UInt64?
        _ = ring.put(packet(1))
        // As if the second step had not been made.
        next.pointee.store(0, ordering: .relaxed)
        #expect(ring.put(packet(2)))
        let taken = ring.take(from: &position)
        #expect(taken == [packet(1), packet(2)])
    }

    @Test(arguments: 0..<8) func `Random words in the lines are no trap`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let board = try Scoreboard(lines: 8)
        board.orders.linesInUse = 8
        let extremes: [UInt64] = [0, 1, 3, .max, .max >> 1, 1 << 63, UInt64(UInt32.max)]
        var position: UInt64?
        for _ in 0..<500 {
            for line in 0..<8 {
                for index in 0..<8 {
                    let value = Bool.random(using: &random) ? extremes.randomElement(using: &random)! : random.next()
                    board.store(rawWord: value, index: index, line: line)
                }
                let ring = board.controls(line: line)
                for offset in stride(from: 0, to: ManagedOrderRing.byteCount, by: 8) where Bool.random(using: &random) {
                    (ring.base + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(
                        random.next(), ordering: .relaxed)
                }
                let taken = ring.take(from: &position)
                #expect(taken.count <= ManagedOrderRing.capacity)
                for word in taken { _ = ControlPacket(word: word) }
                _ = ring.put(packet(1))
                _ = board.hasMoreConnectionsThanAverage(line: line)
                _ = board.connections(line: line)
                let until = board.extendedUntil(line: line)
                _ = (until ?? .now) - .now
            }
        }
    }

    @Test func `Orders are one memory with two mappings, of which children inherit the one that only reads`() throws {
        let orders = try SupervisorOrders(lines: 4)
        #expect(orders.warning == nil)
        let later = try SupervisorOrders(inherited: duplicate(orders.descriptor), lines: 4)
        orders.serviceStops = true
        orders.setOrder(.leave, line: 3)
        orders.noteReady(line: 3)
        orders.noteReady(line: 1)
        #expect(later.serviceStops && later.isLeaving(line: 3) && !later.isLeaving(line: 2))
        #expect(later.isHeard(line: 1) && !later.isLeaving(line: 1) && !later.isHeard(line: 0))
        #expect(later.image == 2 && orders.image == 2)
        // proc(5): "ms" may be shared and "dc" is not copied at a fork. Without "mw" it can never be made writable.
        let mappings = try SmallFile.read("/proc/self/smaps", limit: 1 << 24).split(separator: "VmFlags:")
        var flags: [Set<String>] = []
        for (before, after) in zip(mappings, mappings.dropFirst()) where before.contains("memfd:prefork-orders") {
            flags.append(Set(after.prefix { $0 != "\n" }.split(separator: " ").map(String.init)))
        }
        #expect(flags.count >= 4)
        #expect(flags.allSatisfy { $0.contains("mw") == $0.contains("dc") })
        #expect(flags.count { !$0.contains("mw") && $0.contains("ms") } >= 2)
    }

    @Test func `Orders of another size are refused`() throws {
        let orders = try SupervisorOrders(lines: 4)
        #expect(throws: SystemError.self) {
            try SupervisorOrders(inherited: duplicate(orders.descriptor), lines: 5)
        }
        let pipe = try makePipe()
        closeDescriptor(pipe.writing)
        #expect(throws: SystemError.self) { try SupervisorOrders(inherited: pipe.reading, lines: 4) }
    }

    @Test func `A doorbell is heard at each ring, without a read, and rests when it storms`() throws {
        let epoll = try Epoll()
        var events = EpollEventBuffer(capacity: 4)
        var bells = Doorbells()
        var now = MonotonicInstant.now
        let bell = bells.add(7, by: epoll, word: 1 << 63 | 7, at: now)
        // As in the child, which has a copy of the number.
        let button = try Doorbell(owning: duplicate(#require(bell).number)).attachCopy()
        defer { closeDescriptor(button) }
        func wakes() throws -> Int {
            try events.wait(epoll, timeout: 0)
            return events.count
        }
        #expect(try wakes() == 0)
        for _ in 0..<3 {
            Doorbell.ring(button)
            #expect(try wakes() == 1 && wakes() == 0)
        }
        for _ in 0..<RingRate.most + 1 { bells.rang(7, by: epoll, at: now) }
        Doorbell.ring(button)
        #expect(try wakes() == 0)
        #expect(bells.nextLook == now + RingRate.pause)
        var due = bells.due(at: now, by: epoll)
        #expect(due.isEmpty)
        now = now + RingRate.pause
        due = bells.due(at: now, by: epoll)
        #expect(due == [7])
        #expect(try wakes() == 1, "what rang meanwhile is told")
        #expect(bells.nextLook == nil)
        bells.remove(7, from: epoll)
        Doorbell.ring(button)
        #expect(try wakes() == 0)
    }

    @Test func `A child without a doorbell is looked at ten times a second`() throws {
        let epoll = try Epoll()
        var bells = Doorbells()
        let now = MonotonicInstant.now
        bells.inherit(9, number: nil, by: epoll, word: 9, at: now)
        var due = bells.due(at: now, by: epoll)
        #expect(due.isEmpty)
        for round in 1...3 {
            due = bells.due(at: now + RingRate.pause * round, by: epoll)
            #expect(due == [9])
        }
    }

    @Test func `Restarts by codes are eight at once and then one a second`() throws {
        var pace = RestartRateLimit()
        let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)
        func ask(_ seconds: Int64) -> Int64? {
            let now = start + .seconds(seconds)
            return pace.admit(now) ? max(.zero, pace.earliest - start).components.seconds : nil
        }
        for _ in 0..<8 {
            let earliest = ask(0)
            #expect(earliest == 0)
        }
        let later = [ask(0), ask(0), ask(0), ask(1), ask(1), ask(60)]
        #expect(later[..<5] == [1, nil, nil, 2, nil])
        #expect(try #require(later[5]) <= 60)
    }
}

extension Doorbell {
    /// Puts a button into the ear of which this is a copy.
    fileprivate func attachCopy() throws -> Int32 {
        let button = try attach().news
        // `attach` has closed the copy, and this object would once more: its number may be another file's by then.
        _ = Unmanaged.passRetained(self)
        return button
    }
}
