// What a hung process tells by itself, and what the kernel tells about it.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct StackDumpTests {
    private func dumps(_ program: ChildProgram) -> Int {
        program.errors.split(separator: "\n").count { $0 == "end of stack" }
    }

    /// A fixture whose child hangs, and the child.
    private func hung(_ arguments: String...) async throws -> (program: ChildProgram, child: Int32, signal: Signal) {
        let program = try ChildProgram("host-fixture", ["hang"] + arguments)
        let words = try await program.waitForLine("child ").split(separator: " ")
        return (program, Int32(words[0]) ?? 0, Signal(rawValue: Int32(words[2]) ?? 0))
    }

    @Test(arguments: ["loop", "read"]) func aHungProcessTellsItsStackAsOftenAsItIsAskedAndHangsOn(how: String)
        async throws
    {
        let (program, child, signal) = try await hung(how)
        try await program.waitForLine(how == "loop" ? "looping" : "reading")
        for count in 1...3 {
            kill(child, signal.rawValue)
            try await eventually("\(count) dumps\n\(program.errors)") { dumps(program) == count }
        }
        let errors = program.errors
        #expect(errors.contains("stack of thread \(child):\n"))
        #expect(errors.contains("host-fixture(+0x"), "offsets into the program")
        if how == "read" { #expect(errors.contains("(read+0x"), "exported functions have names") }
        #expect(!program.output.contains("returned"), "the signal did not end what it hung in")
        #expect(kill(child, 0) == 0)
    }

    @Test func abortTellsTheStackAndIsTheEndAllTheSame() async throws {
        let (program, _, _) = try await hung("abort", "\(SIGABRT)")
        #expect(try await program.waitForExit() == 0)
        #expect(dumps(program) == 1)
        #expect(program.errors.contains("(abort+0x"))
    }

    @Test func aDoorbellThatTakesNoMoreHoldsNobody() async throws {
        let (program, _, _) = try await hung("full")
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("goes on"))
        #expect(dumps(program) == 1)
    }

    /// A worker that was taken over writes there what it likes.
    @Test func wordsThatAreNoDumpAreToldApartAndAddressesAreNeverFollowed() {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: StackDump.byteCount / 8)
        defer { words.deallocate() }
        words.initialize(repeating: 0, count: StackDump.byteCount / 8)
        let area = UnsafeMutableRawPointer(words)
        #expect(StackDump.read(area, after: 0) == .nothing)
        let strange: [(UInt64, UInt64)] = [(0, 1), (1, 0), (1, 65), (.max, 1), (1, .max), (1 << 22 + 1, 64)]
        for (thread, count) in strange {
            (words[0], words[1], words[3]) = (7, thread, count)
            #expect(StackDump.read(area, after: 0) == .nonsense, "\(thread) \(count)")
            #expect(StackDump.read(area, after: 7) == .nothing)
        }
        (words[0], words[1], words[3]) = (UInt64.max, 12, 4)
        for (index, address) in [0, 1, UInt64.max, 0xFFFF_8000_0000_0000].enumerated() { words[4 + index] = address }
        guard case .dump(let dump) = StackDump.read(area, after: 7) else { return #expect(Bool(false)) }
        for program in ["/bin/x", nil] {
            #expect(
                dump.lines(program: program) == [
                    "stack of thread 12:", "  [0x0]", "  [0x1]", "  [0xffffffffffffffff]", "  [0xffff800000000000]",
                    "end of stack",
                ])
        }
    }

    /// A real-time signal without a handler ends a process: it must not be sent then.
    @Test func aProcessWithoutTheHandlerIsNotAsked() async throws {
        let program = try ChildProgram("/bin/sleep", ["60"])
        #expect(try !StackDump.request(from: ChildProcess(withoutPidfd: program.pid)))
        let (hung, child, _) = try await hung("read")
        try await hung.waitForLine("reading")
        #expect(try StackDump.request(from: ChildProcess(withoutPidfd: child)))
        try await eventually("a dump") { dumps(hung) == 1 }
        #expect(kill(program.pid, 0) == 0)
        #expect(StackDump.catches(Signal(rawValue: 62), status: "SigBlk:\t0\nSigCgt:\t2000000000000000\n"))
        #expect(!StackDump.catches(Signal(rawValue: 61), status: "SigCgt:\t2000000000000000\n"))
        #expect(!StackDump.catches(Signal(rawValue: 0), status: "SigCgt:\tffffffffffffffff\n"))
        #expect(!StackDump.catches(Signal(rawValue: 62), status: "SigCgt:\tx\n"))
    }

    @Test func fromOutsideAWaitIsSeen() async throws {
        let (program, child, _) = try await hung("read")
        try await program.waitForLine("reading ")
        try await eventually("it waits") { ProcessSnapshot(of: child)?.threads.first?.state == "S" }
        let snapshot = try #require(ProcessSnapshot(of: child))
        #expect(snapshot.threadCount == 1)
        #expect(snapshot.threads[0].name == "host-fixture")
        #expect(snapshot.lines()[1].hasPrefix("thread \(child) (host-fixture) is waiting (S)"))
    }

    @Test func fromOutsideALoopIsSeenByTheTimeItBurns() async throws {
        let (program, child, _) = try await hung("loop")
        try await program.waitForLine("looping")
        let first = try #require(ProcessSnapshot(of: child))
        try await eventually("it burns") {
            (ProcessSnapshot(of: child)?.processorTicks ?? 0) > first.processorTicks + 4
        }
        let second = try #require(ProcessSnapshot(of: child))
        #expect(second.lines(since: first)[0].contains("ms of processor time since the first sample"))
        #expect(ProcessSnapshot(of: child)?.threads[0].state == "R")
    }

    @Test func fromOutsideAStoppedProcessIsSeen() async throws {
        let (program, child, _) = try await hung("read")
        try await program.waitForLine("reading")
        kill(child, SIGSTOP)
        try await eventually("it is stopped") {
            ProcessSnapshot(of: child)?.lines().contains { $0.contains("is stopped (T)") } == true
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
    }
}
