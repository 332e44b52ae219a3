// forkProcesses as tornado's users know it, in real processes.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ForkProcessesTests {
    private func lines(_ program: ChildProgram) -> [String] {
        program.output.split(separator: "\n").map(String.init).sorted()
    }

    @Test func abnormalExitsRestartWithTheSameTaskIDAndZeroIsFinal() async throws {
        let program = try ChildProgram("fork-fixture", ["tornado"])
        #expect(try await program.waitForExit() == 0)
        #expect(
            lines(program) == [
                "parent nil", "task 0 life 1 taskID 0", "task 0 life 2 taskID 0", "task 0 life 3 taskID 0",
                "task 1 life 1 taskID 1", "task 2 life 1 taskID 2", "task 2 life 2 taskID 2",
            ])
        #expect(program.groupSize == 0)
    }

    /// The caller counts on the task IDs 0 ..< count.
    @Test func `A count that the program gives holds whatever PREFORK_WORKERS says`() async throws {
        let program = try ChildProgram("fork-fixture", ["random"], environment: ["PREFORK_WORKERS": "6"])
        #expect(try await program.waitForExit() == 0)
        #expect(lines(program).count == 4)
    }

    @Test func oneRestartTooManyStopsTheSiblingsAndExitsWith70() async throws {
        let program = try ChildProgram("fork-fixture", ["max-restarts"])
        #expect(try await program.waitForExit() == 70)
        #expect(program.groupSize == 0, "workers are left behind")
        #expect(lines(program).filter { $0 == "task 0" }.count == 3)
        #expect(program.errors.contains("too many restarts: stopping all workers"))
    }

    @Test func moreThanOneThreadIsRefusedWithTheNumberAndTheWayOut() async throws {
        let program = try ChildProgram("fork-fixture", ["threads"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("code multithreaded(threads: 2)"))
        #expect(program.output.contains("this process has 2 threads"))
        #expect(program.output.contains("Fork before anything starts"))
    }

    @Test func aWorkerCannotForkWorkers() async throws {
        let program = try ChildProgram("fork-fixture", ["fork-in-worker"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output == "code alreadyForked\ncode alreadyForked\n")
    }

    @Test func badCountsNameTheNumberAndWhereItCameFrom() async throws {
        let program = try ChildProgram("fork-fixture", ["bad-count"])
        #expect(try await program.waitForExit() == 0)
        #expect(
            program.output.split(separator: "\n").prefix(3) == [
                "count(0): bad number of workers: 0 is not within 1...10000",
                "count(-1): bad number of workers: -1 is not within 1...10000",
                "count(1000000): bad number of workers: 1000000 is not within 1...10000",
            ])
        let misled = try ChildProgram("fork-fixture", ["bad-count"], environment: ["PREFORK_WORKERS": "many"])
        #expect(try await misled.waitForExit() == 0)
        #expect(misled.output.contains("perCore: PREFORK_WORKERS=many: must be auto, or 1 to 10000"))
    }

    @Test func bufferedOutputIsWrittenOnce() async throws {
        let program = try ChildProgram("fork-fixture", ["stdio"])
        #expect(try await program.waitForExit() == 0)
        #expect(lines(program) == ["before the fork", "worker 0", "worker 1", "worker 2", "worker 3"])
    }

    @Test func siblingsDrawDifferentRandomNumbers() async throws {
        let program = try ChildProgram("fork-fixture", ["random"])
        #expect(try await program.waitForExit() == 0)
        #expect(Set(lines(program)).count == 4)
    }

    @Test func childrenOfTheProgramAreNeverReapedBySupervisor() async throws {
        let program = try ChildProgram("fork-fixture", ["own-children"])
        #expect(try await program.waitForExit() == 0)
        #expect(
            lines(program) == [
                "supervisor's child: exit 7, outcome ended", "worker's child: exit 9", "worker's child: exit 9",
            ])
    }

    @Test func aWorkerKeepsNoDescriptorOfTheSupervisors() async throws {
        let program = try ChildProgram("fork-fixture", ["descriptors"])
        #expect(try await program.waitForExit() == 0)
        for line in lines(program) {
            #expect(!line.contains("eventpoll") && !line.contains("signalfd") && !line.contains("pidfd"), "\(line)")
        }
        #expect(lines(program).count == 3)
    }
}
