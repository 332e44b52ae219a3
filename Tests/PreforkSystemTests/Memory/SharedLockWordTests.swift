// A lock's word, whatever is written there.

import Glibc
import Synchronization
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct SharedLockWordTests {
    /// A lock in memory of its own.
    private final class Cell: @unchecked Sendable {
        // Sendable: every access is atomic.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: SharedLock.byteCount, alignment: 64)
        var lock: SharedLock { SharedLock(at: memory) }

        init() { memory.initializeMemory(as: UInt8.self, repeating: 0, count: SharedLock.byteCount) }
        deinit { memory.deallocate() }

        func set(_ word: UInt64) { lock.word.pointee.store(word, ordering: .relaxed) }

        func take(within limit: Int64 = 0) throws(SharedLock.Failure) -> SharedLock.Acquisition {
            var patience = LockPatience(limit: limit)
            return try lock.lock(&patience)
        }
    }

    @Test func aFreeLockIsTakenOnce() throws {
        let cell = Cell()
        LockOwner.prepare()
        #expect(cell.lock.tryLock())
        #expect(cell.lock.owner == .current)
        #expect(!cell.lock.tryLock())
        #expect(throws: SharedLock.Failure.busy) { try cell.take() }
        #expect(throws: SharedLock.Failure.busy) { try cell.take(within: 20_000_000) }
        #expect(cell.lock.unlock())
        #expect(cell.lock.isFree)
        #expect(try cell.take() == .clean)
    }

    @Test func whatMustBeRepairedIsSaidUntilItIsDone() throws {
        let cell = Cell()
        #expect(try cell.take() == .clean)
        cell.lock.demandRepair()
        #expect(cell.lock.unlock())
        #expect(!cell.lock.tryLock())
        #expect(try cell.take() == .mustRepair)
        cell.lock.unlockForRepair()
        #expect(try cell.take() == .mustRepair)
        cell.lock.unlock()
        #expect(try cell.take() == .clean)
    }

    @Test func aWordThatNamesNoLivingProcessIsTakenAtOnce() throws {
        let own = LockOwner.current
        // Another birth, another program of this process, a process ID that there cannot be.
        for word in [own.word ^ 1 << 45, own.word ^ 1 << 30, own.word | 0x3F_FFFF] {
            let cell = Cell()
            cell.set(word)
            #expect(try cell.take() == .mustRepair)
            #expect(cell.lock.unlock())
            #expect(cell.lock.isFree)
        }
    }

    @Test func nonsenseIsReplacedAfterTheTimeLimitOnly() throws {
        for word in [1 << 40, 3 << 24 | 7, .max, 1 << 39] as [UInt64] {
            let cell = Cell()
            cell.set(word)
            #expect(throws: SharedLock.Failure.busy) { try cell.take() }
            #expect(throws: SharedLock.Failure.damaged) { try cell.take(within: 20_000_000) }
            #expect(try cell.take() == .mustRepair)
        }
    }

    @Test func aLockThatWasWrittenOverIsToldToItsOwner() throws {
        let cell = Cell()
        for word in [0, 1 << 40, LockOwner.current.word ^ 1 << 45] as [UInt64] {
            _ = try cell.take()
            cell.set(word)
            #expect(!cell.lock.unlock())
            #expect(try cell.take() == .mustRepair)
            #expect(cell.lock.unlock())
        }
    }

    /// Ends for every word, and the lock can be had afterwards unless the word names a living process.
    @Test func randomWordsNeitherTrapNorHang() throws {
        var numbers = SplitMix64(seed: 11)
        for _ in 0..<3_000 {
            let cell = Cell()
            let word: UInt64
            switch numbers.below(5) {
            case 0: word = numbers.next()
            case 1: word = LockOwner.current.word ^ 1 << UInt64(numbers.below(64))
            case 2: word = UInt64(numbers.below(1 << 22)) | 1 << 24 | numbers.next() << 40
            case 3: word = 1 << UInt64(numbers.below(64))
            default: word = numbers.next() & numbers.next() & numbers.next()
            }
            cell.set(word)
            do throws(SharedLock.Failure) {
                _ = try cell.take()
                cell.lock.unlock()
                #expect(cell.lock.isFree, "\(word)")
            } catch {
                #expect(error == .busy)
                #expect(LockOwner(word: word).isNonsense || !LockOwner(word: word).isGone, "\(word)")
            }
        }
    }

    /// Another thread changes the word all the time: each call ends.
    @Test func aWordThatChangesAllTheTimeIsBusyInTime() async throws {
        let cell = Cell()
        let writer = Task.detached {
            var numbers = SplitMix64(seed: 3)
            while !Task.isCancelled { cell.set(numbers.next()) }
        }
        for _ in 0..<20 { _ = try? cell.take(within: 10_000_000) }
        writer.cancel()
        await writer.value
    }

    /// Whose turn it is: only a living process of the same slot is waited for, whatever is written there.
    @Test func aTurnsWordNamesALivingProcessOfTheSlotOrNobody() throws {
        let own = LockOwner.turn(of: ProcessSlot(identity: 0x1234_5679, spawn: 1) { .stay })
        #expect(LockOwner.turn(of: ProcessSlot(identity: 0x1234_5679, spawn: 2) { .stay }) == own)
        let slotBits = own & 0x3FFF << 26
        #expect(slotBits != 0)
        // By its start time, as where a process has no number.
        let parent = try #require(ProcessIdentity(of: getppid()))
        func word(_ pid: Int32, _ startTime: UInt64) -> UInt64 {
            UInt64(pid) | 2 << 24 | slotBits | (startTime & 0xFF_FFFF) << 40
        }
        let living = word(parent.pid, parent.startTime)
        #expect(LockOwner.isOtherOfSlot(living, own: own))
        #expect(!LockOwner.isOtherOfSlot(living ^ 1 << 26, own: own), "of another slot")
        #expect(!LockOwner.isOtherOfSlot(word(parent.pid, parent.startTime + 1), own: own), "it has ended")
        #expect(!LockOwner.isOtherOfSlot(own, own: own))
        #expect(!LockOwner.isOtherOfSlot(0, own: own))
        // There are no process IDs of 22 bits in use here.
        var numbers = SplitMix64(seed: 9)
        for _ in 0..<1_000 {
            let word = numbers.next() | 1 << 21
            #expect(!LockOwner.isOtherOfSlot(word, own: own), "\(word)")
        }
    }
}
