// The report of a worker's crash.

public import PreforkSystem

/// A worker's own word of its crash, in `ExitReport.crash`: written by the worker as numbers, named by the supervisor.
///
/// A worker that an attacker has taken over can write any numbers there.
public struct CrashReport: Equatable, Sendable {
    /// The signal that it was told of. The process may have ended by another one, such as the supervisor's SIGKILL.
    public var signal: Signal
    /// The kernel's code for the cause (si_code of sigaction(2)). Zero or less: another process, or `abort`, sent the
    /// signal.
    public var code: Int32
    /// The memory address that was accessed (SIGSEGV, SIGBUS), or the instruction. For a signal that was sent, its
    /// sender.
    public var address: UInt64
    /// The number of the thread that crashed.
    public var thread: Int32
    /// The stack, innermost frame first. At most 48 frames.
    public var frames: [StackFrame]
}

/// A place in a program's code.
public struct StackFrame: Equatable, Sendable {
    /// In the process that crashed. The first one of a crash is the instruction itself, the others are where calls
    /// return to.
    public var address: UInt64
    /// The file of the program or library. If nil, the address is in no file that this supervisor has loaded.
    public var module: String?
    /// Where the module is loaded: `address` minus `base` is what addr2line(1) and llvm-symbolizer(1) take.
    public var base: UInt64
    /// The module's build ID, or empty if it has none. It tells whether the file is still the one that crashed.
    public var buildID: [UInt8]
    /// The exported function that contains it, by its linker name. If nil, no such function does.
    public var symbol: String?
    /// From the beginning of `symbol`, or of the module.
    public var offset: UInt64
}

/// A crash as the supervisor learns of it.
struct CrashNote: Equatable {
    var record: CrashRecord
    /// The crash of a worker of an earlier image: its addresses mean something else here.
    var isInherited: Bool

    func report(program: String) -> CrashReport {
        CrashReport(
            signal: record.signal, code: record.code, address: record.address, thread: record.thread,
            frames: record.frames.map { address in
                isInherited ? StackFrame(unknown: address) : StackFrame(at: address, program: program)
            })
    }
}

extension StackFrame {
    init(unknown address: UInt64) {
        self.init(address: address, module: nil, base: 0, buildID: [], symbol: nil, offset: 0)
    }

    /// - Parameter program: the path of this process's program.
    init(at address: UInt64, program: String) {
        guard let place = CodePlace(of: address) else {
            self.init(unknown: address)
            return
        }
        self.init(
            address: address, module: place.module ?? program, base: place.base, buildID: place.buildID,
            symbol: place.symbol, offset: place.offset)
    }

    /// As backtrace_symbols(3) writes it, with the function's name as in the source where it is known.
    var text: String {
        let place = "[0x\(String(address, radix: 16))]"
        guard let module else { return place }
        return "\(module)(\(symbol.map(CodePlace.readable) ?? "")+0x\(String(offset, radix: 16))) \(place)"
    }
}

extension CrashReport {
    /// For the line of a worker's end.
    var cause: String {
        let place = "0x\(String(address, radix: 16))"
        if code <= 0 { return signal == .abort ? "" : ", sent by process \(address)" }
        return signal == .segmentationFault || signal == .busError ? ", touching \(place)" : ", at \(place)"
    }
}
