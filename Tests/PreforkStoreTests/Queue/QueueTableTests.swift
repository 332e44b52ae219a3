// The queue's shared memory, in one process.

@testable import PreforkStore
import PreforkSystem
import Testing

@Suite(.timeLimit(.minutes(2)))
struct QueueTableTests {
    private func table(cells: UInt32 = 64, attempts: Int = 3) throws -> QueueTable {
        try QueueTable(cellCount: cells, attempts: attempts, messageLimit: Int(cells) * 256 / 4)
    }

    private func put(_ message: [UInt8], into table: QueueTable) throws -> QueueSending {
        try message.withUnsafeBytes { try table.put(.bytes, $0, sleeping: false) }
    }

    private func take(from table: QueueTable) throws -> QueueArrival? {
        if case .message(let arrival) = try table.take(sleeping: false) { return arrival }
        return nil
    }

    private func takeDeadLetter(from table: QueueTable) throws -> QueueArrival? {
        var patience = QueueTable.patience
        return try table.takeDeadLetter(&patience)
    }

    @Test func aLockThatIsNonsenseIsATypedErrorOnceAndTheMessagesAreThere() throws {
        let table = try table()
        for number in 0..<3 { _ = try put([UInt8(number)], into: table) }
        table.memoryFromLock.storeBytes(of: 3 << 24, as: UInt64.self)
        #expect(throws: QueueTable.Failure.corrupt("the lock")) { try put([3], into: table) }
        #expect(try put([3], into: table) == .sent)
        for number in 0..<4 { #expect(try take(from: table)?.bytes == [UInt8(number)]) }
    }

    @Test func messagesComeOutInTheOrderTheyWentIn() throws {
        let table = try table()
        for number in 0..<10 { #expect(try put([UInt8(number)], into: table) == .sent) }
        for number in 0..<10 { #expect(try take(from: table)?.bytes == [UInt8(number)]) }
        #expect(try take(from: table) == nil)
    }

    @Test func messagesOfEverySizeComeOutWhole() throws {
        for attempts in [0, 3] {
            let table = try table(cells: 64, attempts: attempts)
            for size in [0, 1, 255, 256, 257, 511, 512, 513, 4095, 4096] {
                let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                #expect(try put(message, into: table) == .sent)
                let arrival = try #require(try take(from: table))
                #expect(arrival.bytes == message)
                if let ticket = arrival.ticket { #expect(try table.settle(ticket, .acknowledge)) }
                #expect(table.counters.freeCells == 64)
            }
        }
    }

    @Test func aRequeuedMessageComesBeforeThoseSentLater() throws {
        let table = try table()
        for number in 0..<5 { _ = try put([UInt8(number)], into: table) }
        let arrivals = try (0..<3).map { _ in try #require(try take(from: table)) }
        for index in [1, 2, 0] { _ = try table.settle(arrivals[index].ticket!, .requeue) }
        #expect(try (0..<5).map { _ in try take(from: table)?.bytes } == [[0], [1], [2], [3], [4]])
    }

    @Test func aDeliveryIsSettledOnce() throws {
        let table = try table()
        _ = try put([1], into: table)
        let first = try #require(try take(from: table)?.ticket)
        #expect(try table.settle(first, .requeue))
        #expect(try !table.settle(first, .acknowledge))
        let second = try #require(try take(from: table))
        #expect(second.attempt == 2)
        #expect(try !table.settle(first, .acknowledge))
        #expect(try table.settle(second.ticket!, .acknowledge))
        #expect(table.counters.freeCells == 64)
        #expect(table.counters.inFlight == 0)
    }

    @Test func deadLettersFillAQuarterAtMost() throws {
        let table = try table(cells: 64, attempts: 1)
        for number in 0..<40 {
            #expect(try put([UInt8(number)], into: table) == .sent)
            _ = try table.settle(try #require(try take(from: table)?.ticket), .requeue)
        }
        #expect(table.counters.deadLetters == 16)
        #expect(table.counters.dropped == 24)
        #expect(try takeDeadLetter(from: table)?.bytes == [24])
        while try takeDeadLetter(from: table) != nil {}
        #expect(table.counters.freeCells == 64)
        #expect(table.counters.inFlight == 0)
    }

    /// A model: what is ready in order, what is out, what is dead.
    @Test(arguments: [1, 2, 3] as [UInt64]) func itBehavesLikeAListOfMessages(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let table = try table(cells: 40, attempts: 2)
        var ready: [(number: Int, bytes: [UInt8], deliveries: Int)] = []
        var out: [(number: Int, arrival: QueueArrival)] = []
        var dead: [[UInt8]] = []
        var lastNumber = 0
        for _ in 0..<20_000 {
            switch random.next() % 4 {
            case 0:
                let bytes = (0..<Int(random.next() % 1_500)).map { UInt8(truncatingIfNeeded: $0 &+ lastNumber) }
                let needed = QueueTable.cells(for: bytes.count)
                let isRoom = table.counters.freeCells >= needed
                try #require(try put(bytes, into: table) == (isRoom ? .sent : .full), "seed \(seed)")
                if isRoom {
                    lastNumber += 1
                    ready.append((lastNumber, bytes, 0))
                }
            case 1:
                let arrival = try take(from: table)
                try #require((arrival == nil) == ready.isEmpty, "seed \(seed)")
                guard let arrival else { break }
                let expected = ready.removeFirst()
                try #require(arrival.bytes == expected.bytes, "seed \(seed)")
                try #require(arrival.attempt == expected.deliveries + 1, "seed \(seed)")
                out.append((expected.number, arrival))
            case 2:
                guard !out.isEmpty else { break }
                let (number, arrival) = out.remove(at: Int(random.next() % UInt64(out.count)))
                if random.next() % 2 == 0 {
                    try #require(try table.settle(arrival.ticket!, .acknowledge))
                    break
                }
                try #require(try table.settle(arrival.ticket!, .requeue))
                if arrival.attempt == 2 {
                    dead.append(arrival.bytes)
                } else {
                    let place = ready.firstIndex { $0.number > number } ?? ready.count
                    ready.insert((number, arrival.bytes, arrival.attempt), at: place)
                }
            default:
                let letter = try takeDeadLetter(from: table)
                let dropped = dead.count - table.counters.deadLetters - (letter == nil ? 0 : 1)
                dead.removeFirst(dropped)
                try #require(letter?.bytes == dead.first, "seed \(seed)")
                if letter != nil { dead.removeFirst() }
            }
            try #require(table.counters.ready == ready.count)
            try #require(table.counters.inFlight == out.count)
        }
    }

    @Test func damagedListsAreMadeAnewFromTheMessages() throws {
        for word in 0..<16 {
            let table = try table()
            for number in 0..<20 { _ = try put([UInt8(number)], into: table) }
            for _ in 0..<4 { _ = try table.settle(try #require(try take(from: table)?.ticket), .acknowledge) }
            table.memoryFromLock.storeBytes(of: 0x5555_5555_5555, toByteOffset: 64 + word * 8, as: UInt64.self)
            var seen: [UInt8] = []
            for _ in 0..<40 {
                do {
                    if let arrival = try take(from: table) {
                        seen += arrival.bytes
                        _ = try table.settle(arrival.ticket!, .acknowledge)
                    }
                    _ = try put([100], into: table)
                } catch QueueTable.Failure.corrupt {
                    // Reported once. The next caller repairs it.
                }
            }
            // Which counts and flags were damaged decides what can be known. The messages are still there.
            #expect(seen.filter { $0 < 100 } == Array(4..<20), "word \(word)")
        }
    }

    /// A word of the header, and one of a cell, as `memoryFromLock` has them.
    private func offset(_ word: QueueHeader) -> Int { word.rawValue * 8 - QueueHeader.lockOffset }

    private func offset(ofCell cell: Int, byte: Int) -> Int {
        QueueHeader.byteCount - QueueHeader.lockOffset + QueueOwnerWord.slots * QueueOwnerWord.wordsPerSlot * 8
            + cell * QueueCell.metaBytes + byte
    }

    @Test func damagedMessagesAreGivenUpAndTheOthersComeOut() throws {
        let table = try table()
        for number in 0..<20 { _ = try put([UInt8(number)], into: table) }
        let memory = table.memoryFromLock
        // A state that is none, a length beyond the limit, and a chain out of the queue.
        memory.storeBytes(of: 7, toByteOffset: offset(ofCell: 3, byte: 0), as: UInt64.self)
        memory.storeBytes(of: .max, toByteOffset: offset(ofCell: 5, byte: 16), as: UInt32.self)
        memory.storeBytes(of: 1_000, toByteOffset: offset(ofCell: 7, byte: 16), as: UInt32.self)
        memory.storeBytes(of: .max - 1, toByteOffset: offset(ofCell: 7, byte: 8), as: UInt32.self)
        memory.storeBytes(of: 1, toByteOffset: offset(.isUnsettled), as: UInt64.self)
        var seen: [UInt8] = []
        while let arrival = try take(from: table) {
            seen += arrival.bytes
            _ = try table.settle(arrival.ticket!, .acknowledge)
        }
        #expect(seen == (0..<20).filter { ![3, 5, 7].contains($0) })
        #expect(table.counters.damages == 3)
        #expect(table.counters.freeCells == table.counters.cells)
    }

    @Test func countsThatWereWrittenOverRefuseNobodyForGood() throws {
        let table = try table()
        _ = try put([1], into: table)
        table.memoryFromLock.storeBytes(of: 0, toByteOffset: offset(.freeCount), as: UInt64.self)
        #expect(try put([2], into: table) == .sent)
        // A number that no process writes is no close.
        table.memoryFromLock.storeBytes(of: 1, toByteOffset: offset(.isClosed), as: UInt64.self)
        #expect(try put([3], into: table) == .sent)
        #expect(table.counters.ready == 3 && table.counters.damages == 1)
    }

    /// The upper half of an owner's word: in its lower half is still this process.
    @Test func anOwnerWhoseNumberWasWrittenOverTakesAnotherSeat() throws {
        let table = try table()
        for number in 0..<3 { _ = try put([UInt8(number)], into: table) }
        _ = try #require(try take(from: table))
        let offset = QueueHeader.byteCount - QueueHeader.lockOffset + QueueOwnerWord.pid.rawValue * 8 + 4
        for slot in 0..<4 {
            table.memoryFromLock.storeBytes(
                of: 0x1234, toByteOffset: offset + slot * QueueOwnerWord.wordsPerSlot * 8, as: UInt32.self)
        }
        // What it had out comes again, first.
        #expect(try take(from: table)?.bytes == [0])
        #expect(table.counters.damages == 4)
    }

    @Test func garbageIsAnErrorOrAMessageNeverATrap() throws {
        var random = SplitMix64(seed: 42)
        for round in 0..<300 {
            let table = try table(cells: 32)
            for number in 0..<8 { _ = try put([UInt8](repeating: UInt8(number), count: 40 * number), into: table) }
            let memory = table.memoryFromLock
            // Few bytes in half of the rounds, everything in the others. Payloads do not matter.
            let end = memory.count - 32 * 256
            let hits = round % 2 == 0 ? 1 + Int(random.next() % 20) : 20_000
            for _ in 0..<hits {
                let offset = round % 4 < 2 ? Int(random.next() % 256) : Int(random.next() % UInt64(end))
                memory[offset] = UInt8(truncatingIfNeeded: random.next())
            }
            for _ in 0..<50 {
                do {
                    _ = try put([1, 2, 3], into: table)
                    if let ticket = try take(from: table)?.ticket { _ = try table.settle(ticket, .requeue) }
                    _ = try takeDeadLetter(from: table)
                } catch let failure as QueueTable.Failure {
                    if case .corrupt = failure { continue }
                    // Garbage can look like 256 receivers, but never like a holder of the lock.
                    try #require(failure == .tooManyOwners || failure == .busy)
                }
            }
            _ = try? table.reclaim()
        }
    }
}
