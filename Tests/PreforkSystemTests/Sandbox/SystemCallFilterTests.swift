// The filter of system calls, run by an interpreter of its own for both architectures.

import Testing

@testable import PreforkSystem

/// Classic BPF, as far as the kernel's checker of seccomp filters lets programs use it (bpf_check_classic,
/// seccomp_check_filter).
private func answer(_ program: [UInt64], _ number: UInt32, _ arguments: [UInt64], architecture: UInt32) throws -> UInt32 {
    var place = 0
    var value: UInt32 = 0
    while true {
        try #require(program.indices.contains(place), "it runs out of its program")
        let instruction = program[place]
        let constant = UInt32(instruction >> 32)
        let jump = (yes: Int(instruction >> 16 & 0xFF), no: Int(instruction >> 24 & 0xFF))
        place += 1
        switch instruction & 0xFFFF {
        case 0x20:
            switch constant {
            case 0: value = number
            case 4: value = architecture
            default:
                let index = Int(constant - 16) / 8
                try #require(constant % 8 == 0 && arguments.indices.contains(index))
                value = UInt32(truncatingIfNeeded: arguments[index])
            }
        case 0x05: place += Int(constant)
        case 0x15: place += value == constant ? jump.yes : jump.no
        case 0x35: place += value >= constant ? jump.yes : jump.no
        case 0x45: place += value & constant != 0 ? jump.yes : jump.no
        case 0x06: return constant
        default: throw UnknownInstruction(code: instruction & 0xFFFF)
        }
    }
}

private struct UnknownInstruction: Error { var code: UInt64 }

private let allow: UInt32 = 0x7FFF_0000
private let kill: UInt32 = 0x8000_0000
private func error(_ number: UInt32) -> UInt32 { 0x0005_0000 | number }
private let (notPermitted, noSystemCall, noFamily) = (error(1), error(38), error(97))

@Suite struct SystemCallFilterTests {
    private static let architectures: [SystemCallFilter.Architecture] = [.x86, .arm]

    private struct Machine {
        let architecture: SystemCallFilter.Architecture
        let program: [UInt64]

        init(
            _ architecture: SystemCallFilter.Architecture, _ calls: Sandbox.SystemCalls = .networkServer,
            _ refusal: Sandbox.Refusal = .error
        ) throws {
            self.architecture = architecture
            program = try #require(SystemCallFilter(calls, refusal, for: architecture)).instructions
        }

        func row(_ name: String) throws -> UInt32 {
            let rows = SystemCallTable.allowed + SystemCallTable.refused + SystemCallTable.hidden
            let row = try #require(rows.first { $0.name == name })
            return try #require(architecture == .x86 ? row.x86 : row.arm)
        }

        func callAsFunction(_ name: String, _ arguments: UInt64...) throws -> UInt32 {
            try answer(program, try row(name), arguments + [0, 0, 0, 0, 0, 0], architecture: architecture.word)
        }

        func number(_ number: UInt32) throws -> UInt32 {
            try answer(program, number, [0, 0, 0, 0, 0, 0], architecture: architecture.word)
        }
    }

    @Test(arguments: architectures) func eachCallOfTheTableHasItsAnswer(_ architecture: SystemCallFilter.Architecture) throws {
        for (refusal, refused) in [(Sandbox.Refusal.error, notPermitted), (.kill, kill)] {
            let machine = try Machine(architecture, .networkServer, refusal)
            for (rows, answer) in [
                (SystemCallTable.allowed, allow), (SystemCallTable.refused, refused),
                (SystemCallTable.hidden, noSystemCall),
            ] {
                for row in rows where row.name != "socket" {
                    guard let number = architecture == .x86 ? row.x86 : row.arm else { continue }
                    #expect(try machine.number(number) == answer, "\(row.name)")
                }
            }
        }
    }

    @Test(arguments: architectures) func unknownNumbersAnswerAsAnOlderKernel(_ architecture: SystemCallFilter.Architecture)
        throws
    {
        let machine = try Machine(architecture, .networkServer, .kill)
        // Between the tables, behind them, x32, and the greatest.
        for number: UInt32 in [400, 467, 4_000, 0x4000_0000, 0x4000_0001, .max] {
            #expect(try machine.number(number) == noSystemCall, "\(number)")
        }
    }

    @Test(arguments: architectures) func aCallOfAnotherArchitectureIsTheEnd(_ architecture: SystemCallFilter.Architecture)
        throws
    {
        let machine = try Machine(architecture)
        // i386, arm, and the other one of the two.
        for other: UInt32 in [0x4000_0003, 0x4000_0028, architecture == .x86 ? 0xC000_00B7 : 0xC000_003E] {
            #expect(try answer(machine.program, 0, [0, 0, 0, 0, 0, 0], architecture: other) == kill)
        }
    }

    @Test(arguments: architectures) func newSocketsAreOfFewFamilies(_ architecture: SystemCallFilter.Architecture) throws {
        let server = try Machine(architecture)
        let local = try Machine(architecture, .local, .kill)
        // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; AF_PACKET, AF_ALG, AF_VSOCK.
        for family: UInt64 in [1, 2, 10, 16] { #expect(try server("socket", family) == allow) }
        for family: UInt64 in [0, 17, 38, 40] { #expect(try server("socket", family) == noFamily) }
        #expect(try local("socket", 1) == allow)
        for family: UInt64 in [2, 10, 16, 17] { #expect(try local("socket", family) == noFamily) }
    }

    @Test(arguments: architectures) func processesAndThreadsBeginInTheSameNamespaces(
        _ architecture: SystemCallFilter.Architecture
    ) throws {
        let machine = try Machine(architecture)
        // SIGCHLD; CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD; glibc's threads.
        for flags: UInt64 in [0x11, 0x5111, 0x3D_0F00] { #expect(try machine("clone", flags) == allow) }
        for bit in [17, 25, 26, 27, 28, 29, 30] { #expect(try machine("clone", 1 << bit | 0x11) == notPermitted) }
        #expect(try machine("clone3") == noSystemCall)
        #expect(try machine("unshare") == notPermitted)
    }

    @Test(arguments: architectures) func aTerminalCannotBeTypedInto(_ architecture: SystemCallFilter.Architecture) throws {
        let machine = try Machine(architecture)
        // TCGETS, FIONREAD; TIOCSTI, TIOCLINUX.
        for request: UInt64 in [0x5401, 0x541B] { #expect(try machine("ioctl", 0, request) == allow) }
        for request: UInt64 in [0x5412, 0x541C, 0xFFFF_FFFF_0000_5412] {
            #expect(try machine("ioctl", 0, request) == notPermitted)
        }
    }

    @Test func everyCallIsInOneTableOnce() {
        let rows = SystemCallTable.allowed + SystemCallTable.refused + SystemCallTable.hidden
        #expect(rows.count > 350)
        #expect(Set(rows.map(\.name)).count == rows.count)
        #expect(Set(rows.compactMap(\.x86)).count == rows.compactMap(\.x86).count)
        #expect(Set(rows.compactMap(\.arm)).count == rows.compactMap(\.arm).count)
        for row in rows { #expect(row.x86 != nil || row.arm != nil, "\(row.name)") }
    }

    @Test func allCallsNeedNoFilter() {
        #expect(SystemCallFilter(.all, .error, for: .x86) == nil)
    }
}
