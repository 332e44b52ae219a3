// What a hung process tells by itself, and what the kernel tells about it.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct StackDumpTests {
    private func dumps(_ program: ChildProgram) -> Int {
        program.errors.split(separator: "\n").count { $0 == "prefork[\(program.pid)] end of stack" }
    }

    @Test(arguments: ["loop", "read"]) func aHungProcessWritesItsStackAsOftenAsItIsAskedAndHangsOn(how: String)
        async throws
    {
        let program = try ChildProgram("host-fixture", ["hang", how])
        let signal = Signal(rawValue: Int32(try await program.waitForLine("signal ")) ?? 0)
        try await program.waitForLine(how == "loop" ? "looping" : "reading")
        for count in 1...3 {
            program.send(signal)
            try await eventually("\(count) dumps\n\(program.errors)") { dumps(program) == count }
        }
        let errors = program.errors
        #expect(
            errors.contains(
                "prefork[\(program.pid)] stack of thread \(program.pid) at signal \(signal.rawValue) "
                    + "from process \(getpid()):"
            ))
        #expect(errors.contains("host-fixture(+0x"), "offsets into the program")
        if how == "read" { #expect(errors.contains("(read+0x"), "exported functions have names") }
        #expect(!program.output.contains("returned"), "the signal did not end what it hung in")
        #expect(kill(program.pid, 0) == 0)
    }

    @Test func abortWritesTheStackAndIsTheEndAllTheSame() async throws {
        let program = try ChildProgram("host-fixture", ["hang", "abort", "\(SIGABRT)"])
        #expect(try await program.waitForExit() == -SIGABRT)
        #expect(dumps(program) == 1)
        #expect(program.errors.contains("(abort+0x"))
    }

    @Test func aFullLogTakesNoDumpAndHoldsNobody() async throws {
        let program = try ChildProgram("host-fixture", ["hang", "full"])
        #expect(try await program.waitForExit() == 0)
        try await program.waitForLine("bytes beside the first 0")
    }

    /// A real-time signal without a handler ends a process: it must not be sent then.
    @Test func aProcessWithoutTheHandlerIsNotAsked() async throws {
        let program = try ChildProgram("/bin/sleep", ["60"])
        #expect(try !StackDump.request(from: ChildProcess(withoutPidfd: program.pid)))
        let hung = try ChildProgram("host-fixture", ["hang", "read"])
        try await hung.waitForLine("reading")
        #expect(try StackDump.request(from: ChildProcess(withoutPidfd: hung.pid)))
        try await eventually("a dump") { dumps(hung) == 1 }
        #expect(kill(program.pid, 0) == 0)
        #expect(StackDump.catches(Signal(rawValue: 62), status: "SigBlk:\t0\nSigCgt:\t2000000000000000\n"))
        #expect(!StackDump.catches(Signal(rawValue: 61), status: "SigCgt:\t2000000000000000\n"))
        #expect(!StackDump.catches(Signal(rawValue: 0), status: "SigCgt:\tffffffffffffffff\n"))
        #expect(!StackDump.catches(Signal(rawValue: 62), status: "SigCgt:\tx\n"))
    }

    @Test func fromOutsideAWaitIsSeenInItsCall() async throws {
        let program = try ChildProgram("host-fixture", ["hang", "read"])
        let descriptor = try #require(Int(try await program.waitForLine("reading ")))
        try await eventually("it waits") { ProcessSnapshot(of: program.pid)?.threads.first?.state == "S" }
        let snapshot = try #require(ProcessSnapshot(of: program.pid))
        #expect(snapshot.threadCount == 1)
        #expect(snapshot.threads[0].name == "host-fixture")
        let call = snapshot.threads[0].systemCall
        #expect(call == nil || call == "read(0x\(String(descriptor, radix: 16)))", "nil where tracing is not allowed")
        #expect(snapshot.lines()[1].hasPrefix("thread \(program.pid) (host-fixture) is waiting (S)"))
    }

    @Test func fromOutsideALoopIsSeenByTheTimeItBurns() async throws {
        let program = try ChildProgram("host-fixture", ["hang", "loop"])
        try await program.waitForLine("looping")
        let first = try #require(ProcessSnapshot(of: program.pid))
        try await eventually("it burns") {
            (ProcessSnapshot(of: program.pid)?.processorTicks ?? 0) > first.processorTicks + 4
        }
        let second = try #require(ProcessSnapshot(of: program.pid))
        #expect(second.lines(since: first)[0].contains("ms of processor time since the first look"))
        #expect(ProcessSnapshot(of: program.pid)?.threads[0].state == "R")
    }

    @Test func fromOutsideAStoppedProcessIsSeen() async throws {
        let program = try ChildProgram("host-fixture", ["hang", "read"])
        try await program.waitForLine("reading")
        program.send(.stop)
        try await eventually("it is stopped") {
            ProcessSnapshot(of: program.pid)?.lines().contains { $0.contains("is stopped (T)") } == true
        }
    }

    @Test func aProcessThatIsGoneHasNoSnapshot() {
        #expect(ProcessSnapshot(of: -1) == nil)
        #expect(ProcessSnapshot(of: Int32.max) == nil)
    }

    @Test func theKernelsFilesAreReadAsTheyAre() throws {
        let head = try #require(ProcessSnapshot.head("7 (a (b) c) D 1 2 3 4 5 6 7 8 9 10 30 12 13"))
        #expect(head.name == "a (b) c" && head.state == "D" && head.ticks == 42)
        #expect(ProcessSnapshot.head("") == nil)
        #expect(ProcessSnapshot.head(")7 (") == nil)
        #expect(ProcessSnapshot.head("7 (x) S 1") == nil)
        #expect(ProcessSnapshot.field("VmRSS", in: "VmPeak:\t 1 kB\nVmRSS:\t    2048 kB\n") == "2048 kB")
        #expect(ProcessSnapshot.field("VmRSS", in: "VmRSS:\n") == nil)
        #expect(ProcessSnapshot.systemCall("running\n") == "running")
        #expect(ProcessSnapshot.systemCall("-1 0x7ff 0x55\n") == "no system call")
        #expect(ProcessSnapshot.systemCall("99999 0x5 0x0\n") == "system call 99999(0x5)")
        #expect(ProcessSnapshot.systemCall("\(SYS_read_number) 0x5 0x0\n") == "read(0x5)")
        #expect(ProcessSnapshot.systemCall("") == nil)
        #expect(ProcessSnapshot.systemCall("x") == nil)
        #expect(
            ProcessSnapshot.kernelStack("[<0>] ep_poll+0x3/0x4\n[<0>] do_x+0x1/0x2\n") == [
                "ep_poll+0x3/0x4", "do_x+0x1/0x2",
            ])
        #expect(ProcessSnapshot.kernelStack("") == [])
    }

    private var SYS_read_number: Int {
        #if arch(x86_64)
            0
        #else
            63
        #endif
    }
}
