// The owner of a lock in shared memory, in one word that any process can check.

import CPrefork
import Glibc

/// The word of a `SharedLock`. Without its flags it names one process for all time:
///
/// | bits    | what                                                                                   |
/// |---------|----------------------------------------------------------------------------------------|
/// | 0...21  | process ID (PID_MAX_LIMIT is 2^22), or 0 for no owner                                  |
/// | 22      | a process may be waiting                                                               |
/// | 23      | what the lock protects must be repaired before it is used                              |
/// | 24, 25  | what `birth` is: 0 unknown, 1 the number of its pidfd, 2 its start time, 3 invalid     |
/// | 26...39 | which program image of the process: execve(2) ends the threads that held locks         |
/// | 40...63 | birth: the lowest bits of that number, which distinguishes users of one process ID     |
///
/// The word itself identifies the owner, so there is no table of owners that could be full, damaged or forged. The low
/// half, which futex(2) compares, has everything that changes while the lock is held.
///
/// Processes that share a lock must be in one PID namespace.
package struct LockOwner: Equatable, Sendable {
    package static let waiting: UInt64 = 1 << 22
    package static let needsRepair: UInt64 = 1 << 23
    private static let pidMask: UInt64 = (1 << 22) - 1
    private static let imageMask: UInt64 = 0x3FFF << 26

    private enum Birth: UInt64 {
        case unknown, pidfdNumber, startTime
    }

    /// Without flags.
    package let word: UInt64

    /// - Parameter word: of a lock, whatever is written there.
    package init(word: UInt64) {
        self.word = word & ~(Self.waiting | Self.needsRepair)
    }

    private init(pid: Int32, image: UInt64, _ birth: Birth, _ number: UInt64) {
        word = UInt64(pid) & Self.pidMask | image << 26 & Self.imageMask | birth.rawValue << 24 | number << 40
    }

    var pid: Int32 { Int32(truncatingIfNeeded: word & Self.pidMask) }
    private var birth: Birth? { Birth(rawValue: word >> 24 & 3) }

    /// Whether it names no process, which a free lock does not either.
    package var isNobody: Bool { word == 0 }

    /// Whether no process of this package can have written it.
    package var isNonsense: Bool {
        if word == 0 { return false }
        guard pid != 0, let birth else { return true }
        // Where this process has a number, so have the others.
        return birth == .unknown && (birthNumber != 0 || Self.current.birth == .pidfdNumber)
    }

    /// The word of this process, made at its first use of a lock.
    package static var current: LockOwner {
        let known = cprefork_lock_token()
        if known != 0 { return LockOwner(word: known) }
        // Several threads may come here at once, and find the same.
        let owner = make()
        LockFamily.noteOwner()
        cprefork_set_lock_token(owner.word)
        return owner
    }

    /// The address of `current` as one atomic word, which is 0 before its first use and in a child that was just
    /// forked. For modules whose shortest path has no room for a call.
    package static var currentWord: UnsafeMutableRawPointer { cprefork_lock_token_address() }

    /// Makes this process's word, while there is a descriptor for it.
    package static func prepare() { _ = current }

    /// Distinguishes program images of one process. A forked child inherits it, which does no harm, because it has
    /// another pid.
    private static let image = UInt64.random(in: 0..<1 << 14)

    private static func make() -> LockOwner {
        let pid = getpid()
        var number: UInt64 = 0
        if cprefork_look_at_process(pid, &number) == 1, number != 0 {
            return LockOwner(pid: pid, image: image, .pidfdNumber, number)
        }
        if let start = stat(of: pid)?.startTime { return LockOwner(pid: pid, image: image, .startTime, start) }
        return LockOwner(pid: pid, image: image, .unknown, 0)
    }

    /// Whether it names this process, in any of its program images.
    var isOfThisProcess: Bool { Self.current.word & ~Self.imageMask == word & ~Self.imageMask }

    /// Whether that process will never give the lock back: it has ended, waits to be collected, or has become another
    /// program. A process that is stopped is not gone.
    ///
    /// Works without /proc, by pidfds alone, as in a chroot. When nothing can be known of a process (no descriptor
    /// left), a process of that number is taken for the owner: to take a lock from a living one would tear its data.
    package var isGone: Bool {
        if isOfThisProcess { return self != Self.current }
        var number: UInt64 = 0
        switch cprefork_look_at_process(pid, &number) {
        case 0: return true
        case 1 where birth == .pidfdNumber && number != 0: return number & 0xFF_FFFF != birthNumber
        case -1 where kill(pid, 0) != 0: if Errno.current == .noProcess { return true }
        default: break
        }
        guard birth != .unknown, let found = Self.stat(of: pid) else { return false }
        if found.isZombie { return true }
        return birth == .startTime && found.startTime & 0xFF_FFFF != birthNumber
    }

    private var birthNumber: UInt64 { word >> 40 }

    // Turns: what the processes of a slot have one after the other

    /// This process's word as a turn's owner. Where a lock's word names the program image, which does not matter here,
    /// it has bits of the slot's identity.
    package static func turn(of slot: ProcessSlot) -> UInt64 {
        current.word & ~imageMask | (slot.identity >> 1) << 26 & imageMask
    }

    /// Whether a turn's word names another process of the slot of `own`, which has not ended.
    package static func isOtherOfSlot(_ word: UInt64, own: UInt64) -> Bool {
        if word == own || (word ^ own) & imageMask != 0 { return false }
        let owner = LockOwner(word: word)
        if owner.isNobody || owner.isNonsense || CrashedProcesses.contains(owner.pid) { return false }
        return !owner.isGone && !LockFamily.excludes(owner.pid)
    }

    private static func stat(of pid: Int32) -> (isZombie: Bool, startTime: UInt64)? {
        guard let line = try? SmallFile.read("/proc/\(pid)/stat", limit: 1024),
            let fields = ProcessIdentity.fields(line)
        else { return nil }
        return (fields.state == "Z" || fields.state == "X", fields.startTime)
    }
}
