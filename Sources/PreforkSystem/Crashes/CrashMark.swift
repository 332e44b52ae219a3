// The report that a crashing process makes of its own crash before it ends.

import CPrefork
import Glibc
import Synchronization

/// A handler of a worker's crash signals (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV) that writes what it knows
/// into memory shared with the supervisor, rings and lets the Swift runtime's backtracer, if there is one, do its work:
/// a supervisor has the successor ready long before that is done.
///
/// Limits: only the thread that was forked has an alternate signal stack. Any other thread cannot report that its stack
/// has overflowed, so its end shows only the signal that killed it. A compromised process can report a crash that did
/// not happen, but only for itself: see `Doorbell.hasCrashed`. What it writes are numbers, which are shown and never
/// followed.
package enum CrashMark {
    /// How much memory a record takes.
    package static let byteCount = Int(CPREFORK_CRASH_WORDS) * 8
    package static let frameLimit = Int(CPREFORK_CRASH_FRAMES)

    /// In a process that will fork, on the thread that does.
    package static func prepare() { cprefork_prepare_crash_mark() }

    /// Does not return if another thread of this process has crashed: the descriptors of the process are closed by then, so
    /// that whatever failed did so because of that, and the crash ends the process, not its caller's exit code.
    package static func waitForEndOfCrash() {
        while cprefork_has_crashed() { pause() }
    }

    /// In a new child, before any code of the program's own: from now on its crash is reported.
    ///
    /// - Parameters:
    ///   - area: `byteCount` bytes, aligned to eight, shared with the supervisor and mapped as long as the process
    ///     lives.
    ///   - button: the doorbell that informs the supervisor, or -1 for no doorbell.
    package static func arm(_ area: UnsafeMutableRawPointer?, button: Int32) {
        cprefork_arm_crash_mark(area?.assumingMemoryBound(to: UInt64.self), button)
    }
}

/// What a process has written of its crash.
package struct CrashRecord: Equatable, Sendable {
    package var signal: Signal
    /// si_code of sigaction(2).
    package var code: Int32
    /// The address that was touched (SIGSEGV, SIGBUS), or that of the instruction. For a signal that a process sent (a
    /// code of zero or less), the sender's process ID.
    package var address: UInt64
    package var thread: Int32
    /// Another handler, such as the Swift runtime's backtracer, follows: the end may take its time.
    package var hasBacktracer: Bool
    /// The program counter, then return addresses, innermost first.
    package var frames: [UInt64]

    /// Reads each word once: the process may write at any time.
    ///
    /// - Returns: nil if nothing is written there, or what is written is not a record.
    package init?(in area: UnsafeMutableRawPointer) {
        func load(_ index: Int) -> UInt64 {
            // Proof: `area` has `CrashMark.byteCount` bytes, is aligned to eight, and is only ever used as atomic
            // words, here and by the handler in C.
            (area + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
        }
        let number = (area + Int(CPREFORK_CRASH_SIGNAL) * 8).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
            .load(ordering: .acquiring)
        let (thread, count) = (load(Int(CPREFORK_CRASH_THREAD)), load(Int(CPREFORK_CRASH_COUNT)))
        guard number < 64, cprefork_is_crash_signal(Int32(number)) == 1, (1...1 << 22).contains(thread),
            count <= UInt64(CrashMark.frameLimit)
        else { return nil }
        signal = Signal(rawValue: Int32(number))
        code = Int32(truncatingIfNeeded: load(Int(CPREFORK_CRASH_CODE)))
        address = load(Int(CPREFORK_CRASH_ADDRESS))
        self.thread = Int32(thread)
        hasBacktracer = load(Int(CPREFORK_CRASH_LATER)) != 0
        frames = (0..<Int(count)).map { load(Int(CPREFORK_CRASH_FIRST_FRAME) + $0) }
    }

    package init(
        signal: Signal, code: Int32, address: UInt64, thread: Int32, hasBacktracer: Bool, frames: [UInt64]
    ) {
        self.signal = signal
        self.code = code
        self.address = address
        self.thread = thread
        self.hasBacktracer = hasBacktracer
        self.frames = frames
    }

    /// Makes an area ready for the next process.
    package static func clear(_ area: UnsafeMutableRawPointer) {
        (area + Int(CPREFORK_CRASH_SIGNAL) * 8).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
            .store(0, ordering: .relaxed)
    }
}
