// A seccomp filter: a program of classic BPF that the kernel runs before each system call (seccomp(2)).

import Synchronization

/// Makes the program for a sandbox. Pure: tests run it by an interpreter for both architectures.
///
/// It ends the process at calls of another architecture, whose numbers mean other calls. The calls of x32, whose
/// numbers have bit 30 set, are unknown to it. Unknown calls are newer than the table: they fail with ENOSYS, as on the
/// kernel that the table knows.
package struct SystemCallFilter: Equatable, Sendable {
    package enum Architecture: Sendable {
        case x86, arm

        /// AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 of linux/audit.h.
        package var word: UInt32 { self == .x86 ? 0xC000_003E : 0xC000_00B7 }
    }

    /// SECCOMP_RET_... of linux/seccomp.h.
    package enum Answer {
        package static let allow: UInt32 = 0x7FFF_0000
        package static let killProcess: UInt32 = 0x8000_0000
        package static func error(_ number: UInt32) -> UInt32 { 0x0005_0000 | number }
    }

    /// Errors by their numbers, which are the same on both architectures.
    private enum Number {
        static let notPermitted: UInt32 = 1
        static let noSystemCall: UInt32 = 38
        static let familyNotSupported: UInt32 = 97
    }

    /// Each a `struct sock_filter`.
    package private(set) var instructions: [UInt64] = []
    private let refused: UInt32
    private let families: [UInt32]

    /// - Returns: nil for `.all`: without a filter, calls are as fast as before.
    package init?(_ calls: Sandbox.SystemCalls, _ refusal: Sandbox.Refusal, for architecture: Architecture) {
        if calls == .all { return nil }
        refused = refusal == .kill ? Answer.killProcess : Answer.error(Number.notPermitted)
        // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK of sys/socket.h.
        families = calls == .local ? [1] : [1, 2, 10, 16]
        begin(architecture)
        branch(Self.runs(of: verdicts(architecture))[...])
    }

    private struct Kind: Hashable {
        var calls: Sandbox.SystemCalls
        var refusal: Sandbox.Refusal
        var architecture: Architecture
    }

    private static let made = Mutex<[Kind: [UInt64]]>([:])

    /// The program of a sandbox, made once in a process: a command is started with it often. Empty for `.all`.
    static func instructions(
        _ calls: Sandbox.SystemCalls, _ refusal: Sandbox.Refusal, for architecture: Architecture
    ) -> [UInt64] {
        let kind = Kind(calls: calls, refusal: refusal, architecture: architecture)
        if let known = made.withLock({ $0[kind] }) { return known }
        let new = SystemCallFilter(calls, refusal, for: architecture)?.instructions ?? []
        made.withLock { $0[kind] = new }
        return new
    }

    // MARK: What becomes of each number

    private enum Verdict: Equatable {
        case answer(UInt32)
        case socket, clone, control
    }

    private func verdicts(_ architecture: Architecture) -> [UInt32: Verdict] {
        var verdicts: [UInt32: Verdict] = [:]
        func set(_ rows: [SystemCallRow], _ verdict: (SystemCallRow) -> Verdict) {
            for row in rows {
                guard let number = architecture == .x86 ? row.x86 : row.arm else { continue }
                verdicts[number] = verdict(row)
            }
        }
        set(SystemCallTable.refused) { _ in .answer(refused) }
        set(SystemCallTable.hidden) { _ in .answer(Answer.error(Number.noSystemCall)) }
        set(SystemCallTable.allowed) { row in
            switch row.name {
            case "socket": .socket
            case "clone": .clone
            case "ioctl": .control
            default: .answer(Answer.allow)
            }
        }
        return verdicts
    }

    /// From the first number on, until the next run.
    private struct Run {
        var first: UInt32
        var verdict: Verdict
    }

    /// Numbers in a row with one verdict are one run. Between and behind known numbers are unknown ones.
    private static func runs(of verdicts: [UInt32: Verdict]) -> [Run] {
        let unknown = Verdict.answer(Answer.error(Number.noSystemCall))
        let last = verdicts.keys.max() ?? 0
        var runs: [Run] = []
        for number in 0...last + 1 {
            let verdict = verdicts[number] ?? unknown
            if runs.last?.verdict != verdict { runs.append(Run(first: number, verdict: verdict)) }
        }
        return runs
    }

    // MARK: Instructions

    /// BPF_... of linux/bpf_common.h.
    private enum Code {
        static let load: UInt64 = 0x20
        static let jump: UInt64 = 0x05
        static let ifEqual: UInt64 = 0x15
        static let ifAtLeast: UInt64 = 0x35
        static let ifBits: UInt64 = 0x45
        static let answer: UInt64 = 0x06
    }

    /// Places in `struct seccomp_data`. The lower half of an argument comes first.
    private enum Place {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4
        static func argument(_ index: UInt32) -> UInt32 { 16 + 8 * index }
    }

    /// - Parameters:
    ///   - yes, no: how many instructions are left out when the comparison holds, or does not.
    private mutating func add(_ code: UInt64, _ value: UInt32, yes: UInt64 = 0, no: UInt64 = 0) {
        instructions.append(code | yes << 16 | no << 24 | UInt64(value) << 32)
    }

    private mutating func begin(_ architecture: Architecture) {
        add(Code.load, Place.architecture)
        add(Code.ifEqual, architecture.word, yes: 1)
        add(Code.answer, Answer.killProcess)
        add(Code.load, Place.number)
    }

    /// A binary search. Jumps of comparisons reach 255 instructions: a jump of its own reaches the upper half.
    private mutating func branch(_ runs: ArraySlice<Run>) {
        guard runs.count > 1 else {
            if let run = runs.first { decide(run.verdict) }
            return
        }
        let middle = runs.startIndex + runs.count / 2
        add(Code.ifAtLeast, runs[middle].first, yes: 0, no: 1)
        let jump = instructions.count
        add(Code.jump, 0)
        branch(runs[..<middle])
        instructions[jump] = Code.jump | UInt64(instructions.count - jump - 1) << 32
        branch(runs[middle...])
    }

    private mutating func decide(_ verdict: Verdict) {
        switch verdict {
        case .answer(let answer): add(Code.answer, answer)
        case .socket:
            add(Code.load, Place.argument(0))
            for family in families {
                add(Code.ifEqual, family, no: 1)
                add(Code.answer, Answer.allow)
            }
            // As a kernel without that family: callers probe for it.
            add(Code.answer, Answer.error(Number.familyNotSupported))
        case .clone:
            // CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID and _NEWNET of linux/sched.h.
            add(Code.load, Place.argument(0))
            add(Code.ifBits, 0x7E02_0000, no: 1)
            add(Code.answer, refused)
            add(Code.answer, Answer.allow)
        case .control:
            // TIOCSTI types into the terminal, TIOCLINUX pastes into it (ioctl_tty(2), ioctl_console(2)).
            add(Code.load, Place.argument(1))
            for request: UInt32 in [0x5412, 0x541C] {
                add(Code.ifEqual, request, no: 1)
                add(Code.answer, refused)
            }
            add(Code.answer, Answer.allow)
        }
    }
}
