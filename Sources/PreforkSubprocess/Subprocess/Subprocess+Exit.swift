// The end of a subprocess, and the errors made of it.

public import PreforkSystem

extension Subprocess {
    /// The end of a subprocess.
    public struct Exit: Equatable, Sendable {
        /// What brought the end about, as far as this process knows.
        public enum Reason: String, Hashable, Sendable {
            /// This program did not request it.
            case own
            /// `stop`, or the end of `Subprocess.with`.
            case stopped
            /// The command's timeout.
            case timedOut
            /// The cancellation of the task that ran it.
            case cancelled
            /// More output than the limit of the collected output.
            case outputLimit
        }

        /// The exit code or the signal.
        public let status: ExitStatus
        /// What the process used, including the descendants that it waited for.
        public let usage: ResourceUsage
        /// From the start to the moment when the end was noticed.
        public let duration: Duration
        /// Why it ended, as far as this process knows. For how it ended, see `status`.
        public let reason: Reason
        /// Whether a stop had to go as far as SIGKILL.
        public let wasForced: Bool

        /// The exit code, or minus the signal's number, as tornado counts. Nil if the status was lost.
        public var returnCode: Int32? { status.returnCode }

        /// Exit code 0.
        public var isSuccess: Bool { status.isSuccess }
    }
}

extension Subprocess.Exit {
    /// Whether the return code is this number: the exit code, or minus the signal's number. A lost status equals no
    /// code.
    public static func == (exit: Self, code: Int) -> Bool { exit.returnCode.map(Int.init) == code }
    /// The same with the number first.
    public static func == (code: Int, exit: Self) -> Bool { exit == code }
    /// Whether the return code is another number. True for a lost status.
    public static func != (exit: Self, code: Int) -> Bool { !(exit == code) }
    /// The same with the number first.
    public static func != (code: Int, exit: Self) -> Bool { !(exit == code) }

    /// For `switch exit { case 0: ... }`.
    public static func ~= (code: Int, exit: Self) -> Bool { exit == code }
}

extension Subprocess.Exit: CustomStringConvertible {
    public var description: String {
        let cause =
            switch reason {
            case .own: ""
            case .stopped: ", stopped"
            case .timedOut: ", timed out"
            case .cancelled: ", cancelled"
            case .outputLimit: ", too much output"
            }
        return "\(status)\(cause)\(wasForced ? ", by force" : "") after \(duration)"
    }
}

/// A subprocess ended with another status than exit code 0.
///
/// Follows Python's and tornado's CalledProcessError.
public struct CalledProcessError: Error, Sendable, CustomStringConvertible {
    /// With all arguments, which may hold secrets. The description names the program only.
    public let command: Command
    /// How the subprocess ended.
    public let exit: Subprocess.Exit
    /// What was collected, whole or in part, or nil from `waitForExit`.
    public let output: Subprocess.Output?

    /// The exit code or the signal.
    public var status: ExitStatus { exit.status }

    /// The exit code, or minus the signal's number. Nil if the status was lost.
    public var returnCode: Int32? { exit.returnCode }

    public var description: String {
        let lastLine = output?.stderrText.split(separator: "\n").last.map { ": \($0)" } ?? ""
        return "\(command.name) \(exit)\(lastLine)"
    }
}

/// A subprocess that cannot be made to end: this process may not signal it, or it is stuck in the kernel.
public struct StopError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The process ID. It belongs to the process as long as this program has not collected it.
    public let pid: Int32
    /// The refused signal, or ETIMEDOUT when SIGKILL has had no effect for the plan's `killGrace`.
    public let underlying: SystemError

    public var description: String { "process \(pid) does not end: \(underlying)" }
}
