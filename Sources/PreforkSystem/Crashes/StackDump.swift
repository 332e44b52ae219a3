// A worker's stack, recorded by the worker when a signal requests it, and named by its supervisor.

import CPrefork
import Glibc
import Synchronization

/// The dump that a worker can be asked for while it hangs. A handler interrupts the worker wherever it is, stores the
/// return addresses of its stack (backtrace(3)) into memory that it shares with its supervisor, and rings its doorbell.
/// The worker then continues. The supervisor writes the lines: no worker needs the log's descriptor, and no text of a
/// worker gets into it.
///
/// Limits: the stack belongs to the thread that takes the signal, which is the main thread in a worker. Names are the
/// linker's, mangled, and only of exported functions (`-Xlinker --export-dynamic` gives more). The others are offsets
/// for addr2line(1) or `llvm-symbolizer`. A worker in an uninterruptible wait (state D) or stopped (T) does not answer:
/// `ProcessSnapshot` says so from outside. A compromised worker can store any numbers. They are shown as numbers and
/// never followed.
package struct StackDump: Equatable, Sendable {
    /// How much memory a dump takes.
    package static let byteCount = CPREFORK_DUMP_WORDS * 8
    package static let frameLimit = CPREFORK_DUMP_FRAMES

    /// The default signal: the last but two of the real-time ones, which nothing else uses by itself (signal(7)).
    /// SIGABRT can be used as well: the handler returns, abort(3) ends the process all the same.
    package static var defaultSignal: Signal { Signal(rawValue: cprefork_real_time_signal(-2)) }

    package var thread: Int32
    /// Return addresses, innermost first, at most `frameLimit`.
    package var frames: [UInt64]

    /// Runs in the worker, at its boot, before threads. The signal must not be blocked later.
    ///
    /// - Parameters:
    ///   - area: `byteCount` bytes, aligned to eight, that are shared with the supervisor and stay mapped.
    ///   - doorbell: an eventfd of this process, which the supervisor watches, or -1 for no doorbell.
    package static func install(
        on signal: Signal = defaultSignal, into area: UnsafeMutableRawPointer, doorbell: Int32
    ) throws(SystemError) {
        let words = area.assumingMemoryBound(to: UInt64.self)
        try systemCall("sigaction", on: "\(signal)") {
            cprefork_install_stack_dump(signal.rawValue, words, doorbell)
        }
    }

    /// Asks a child for its stack, if it has the handler: without one the signal would be its end.
    ///
    /// Runs in the supervisor.
    /// - Returns: false if the child does not catch the signal or cannot be inspected.
    package static func request(from child: ChildProcess, by signal: Signal = defaultSignal) throws(SystemError) -> Bool
    {
        let status = (try? SmallFile.read("/proc/\(child.pid)/status", limit: 16_384)) ?? ""
        guard catches(signal, status: status) else { return false }
        try child.send(signal)
        return true
    }

    /// SigCgt of /proc/pid/status: a bit for each signal that has a handler.
    static func catches(_ signal: Signal, status: String) -> Bool {
        guard (1...64).contains(signal.rawValue), let text = ProcessSnapshot.field("SigCgt", in: status),
            let mask = UInt64(text, radix: 16)
        else { return false }
        return mask & (1 << UInt64(signal.rawValue - 1)) != 0
    }

    /// What a read of a worker's area found.
    package enum Reading: Equatable, Sendable {
        /// Nothing since the number that the caller knows.
        case nothing
        case dump(StackDump)
        /// The worker has written there, but not a dump.
        case nonsense
    }

    /// The number of the last dump in an area: another one after `request` means that the worker has answered.
    package static func number(in area: UnsafeMutableRawPointer) -> UInt64 {
        word(area, CPREFORK_DUMP_NUMBER).pointee.load(ordering: .acquiring)
    }

    /// Reads each word once, because the worker may write at any time.
    package static func read(_ area: UnsafeMutableRawPointer, after known: UInt64) -> Reading {
        if number(in: area) == known { return .nothing }
        func load(_ index: Int) -> UInt64 { word(area, index).pointee.load(ordering: .relaxed) }
        let (thread, count) = (load(CPREFORK_DUMP_THREAD), load(CPREFORK_DUMP_COUNT))
        // PID_MAX_LIMIT is 2^22.
        guard (1...1 << 22).contains(thread), (1...UInt64(frameLimit)).contains(count) else { return .nonsense }
        return .dump(
            StackDump(
                thread: Int32(thread),
                frames: (0..<Int(count)).map { load(CPREFORK_DUMP_FIRST_FRAME + $0) }))
    }

    /// Proof: `area` has `byteCount` bytes, is aligned to eight, and is only ever used as these atomic words. The
    /// handler in C uses the same words by the same atomic instructions.
    private static func word(_ area: UnsafeMutableRawPointer, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (area + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}

extension StackDump {
    /// The dump for a log, a line for each frame, as backtrace_symbols(3) writes them.
    ///
    /// - Parameter program: the path of this process's program, if this process forked the child whose dump it is: the
    ///   same objects then lie at the same addresses. If nil, addresses have no names here.
    package func lines(program: String?) -> [String] {
        let frames = frames.map { "  \(Self.text(of: $0, program: program))" }
        let end = frames.count == Self.frameLimit ? "deeper frames are not shown" : "end of stack"
        return ["stack of thread \(thread):"] + frames + [end]
    }

    private static func text(of frame: UInt64, program: String?) -> String {
        let address = "[0x\(String(frame, radix: 16))]"
        guard let program, let place = CodePlace(of: frame) else { return address }
        let name = place.symbol.map(CodePlace.readable) ?? ""
        return "\(place.module ?? program)(\(name)+0x\(String(place.offset, radix: 16))) \(address)"
    }
}
