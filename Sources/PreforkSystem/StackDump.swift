// A worker's own stack, written by itself when a signal asks for it.

import CPrefork
import Glibc

/// The dump that a worker can be asked for while it hangs: a handler that runs wherever the worker is, writes its
/// stack to a descriptor (backtrace(3)) and lets it go on.
///
/// Honest limits: the stack is that of the thread which takes the signal, the main thread in a worker; names are the
/// linker's, mangled, and only of exported functions (`-Xlinker --export-dynamic` gives more), the others are offsets
/// for addr2line(1) or `llvm-symbolizer`. A worker in an uninterruptible wait (state D) or stopped (T) does not answer:
/// `ProcessSnapshot` says so from outside.
package enum StackDump {
    /// The default signal: the last but two of the real-time ones, which nothing else uses by itself (signal(7)).
    /// SIGABRT can be used as well: the handler returns, abort(3) ends the process all the same.
    package static var defaultSignal: Signal { Signal(rawValue: cprefork_real_time_signal(-2)) }

    /// Runs in the worker, at its boot, before threads. The signal must not be blocked later.
    ///
    /// - Parameter descriptor: of the log; kept by the caller. One that is full at the time gets nothing.
    package static func install(on signal: Signal = defaultSignal, descriptor: Int32) throws(SystemError) {
        try systemCall("sigaction", on: "\(signal)") { cprefork_install_stack_dump(signal.rawValue, descriptor) }
    }

    /// Asks a child for its stack, if it has the handler: without one the signal would be its end.
    ///
    /// Runs in the supervisor.
    /// - Returns: false when the child does not catch the signal, or cannot be looked at.
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
}
