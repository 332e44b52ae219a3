// Orphans, signals of PID 1, processors, titles.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct InitDutyTests {
    @Test(arguments: [["subreaper"], ["subreaper", "behind"]])
    func aSubreaperCollectsOrphansAndLeavesItsWorkersAlone(arguments: [String]) async throws {
        let program = try ChildProgram("host-fixture", ["orphans"] + arguments)
        #expect(try await program.waitForExit() == 0, "\(program.output)")
        #expect(try await program.waitForLine("pid 1 ") == "false duties true")
        try await program.waitForLine("reaped 3")
    }

    @Test(.enabled(if: ProcessNamespace.isAvailable, "no right to make a PID namespace"), arguments: [[], ["behind"]])
    func processOneCollectsOrphansAndLeavesItsWorkersAlone(arguments: [String]) async throws {
        let program = try ChildProgram("host-fixture", ["orphans"] + arguments, preparation: ProcessNamespace.entering)
        #expect(try await program.waitForExit() == 0, "\(program.output)\(program.errors)")
        #expect(try await program.waitForLine("pid 1 ") == "true duties true")
        try await program.waitForLine("reaped 3")
    }

    @Test func aForkDoesNotWaitForWhoReadsWhatWasPrinted() async throws {
        let program = try ChildProgram("host-fixture", ["full-stdout"])
        #expect(try await program.waitForExit() == 0, "\(program.output)\(program.errors)")
        try await program.waitForLine("printed once")
    }

    @Test func withoutDutiesNobodyIsAdopted() async throws {
        #expect(!InitReaper.areNeeded)
    }

    @Test func orphansAreAskedToEndBeforeTheContainerDoes() async throws {
        let program = try ChildProgram("host-fixture", ["orphans-end"])
        #expect(try await program.waitForExit() == 0, "\(program.output)")
        try await program.waitForLine("asked and reaped")
    }

    @Test func signalsWithAMeaningAreTheSupervisorsAndOthersGoToTheWorkers() {
        for number in [SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGTTIN, SIGTTOU] {
            #expect(InitReaper.disposition(of: Signal(rawValue: number)) == .own)
        }
        for signal in InitReaper.forwarded { #expect(InitReaper.disposition(of: signal) == .forward) }
        // A terminal's resize must not reach any worker (hypothesis/h #485).
        #expect(InitReaper.disposition(of: Signal(rawValue: SIGWINCH)) == .ignore)
        #expect(InitReaper.forwarded.contains(Signal(rawValue: 40)))
    }
}

@Suite(.timeLimit(.minutes(2))) struct CPUAffinityTests {
    @Test func workersTakeTurnsOnTheAllowedProcessors() {
        let allowed = [2, 3, 9]
        #expect((0..<4).map { CPUAffinity.perWorker.processors(worker: $0, allowed: allowed) } == [[2], [3], [9], [2]])
        #expect(CPUAffinity.none.processors(worker: 0, allowed: allowed) == nil)
        #expect(CPUAffinity.processors([9, 7, 2]).processors(worker: 5, allowed: allowed) == [9, 2])
    }

    @Test func whereThereIsNoChoiceNothingIsAskedFor() {
        #expect(CPUAffinity.perWorker.processors(worker: 3, allowed: [5]) == nil)
        #expect(CPUAffinity.perWorker.processors(worker: 3, allowed: []) == nil)
        #expect(CPUAffinity.perWorker.processors(worker: -1, allowed: [1, 2]) == nil)
        #expect(CPUAffinity.processors([7]).processors(worker: 0, allowed: [1, 2]) == nil)
    }

    @Test func theKernelPinsTheWorkerAndRefusesWhatIsNotThere() async throws {
        let program = try ChildProgram("host-fixture", ["affinity"])
        #expect(try await program.waitForExit() == 0)
        let allowed = try ProcessorAffinity.allowed()
        for worker in 0..<3 {
            let expected = allowed.count > 1 ? [allowed[worker % allowed.count]] : allowed
            #expect(try await program.waitForLine("worker \(worker) ") == "\(expected)")
        }
        #expect(program.output.split(separator: "\n").count { $0.hasPrefix("refused: sched_setaffinity(") } == 3)
    }
}

@Suite struct ProcessTitleTextTests {
    @Test func titlesSayRoleGenerationStateAndService() {
        let worker = ProcessTitleText(role: .worker(taskID: 3, generation: 2), state: "ready", service: "shop")
        #expect(worker.title == "prefork: worker 3 g2 ready [shop]" && worker.name == "worker 3 g2")
        let supervisor = ProcessTitleText(role: .supervisor(workers: 8), state: "reloading 3/8")
        #expect(supervisor.title == "prefork: supervisor of 8 reloading 3/8" && supervisor.name == "supervisor")
        #expect(ProcessTitleText(role: .worker(taskID: 9_999, generation: 12_345), state: "").name.utf8.count <= 15)
        let managed = ProcessTitleText(
            role: .managed(name: "mailer-of-the-night", generation: 4), state: "running", service: "shop")
        #expect(managed.title == "prefork: mailer-of-the-night g4 running [shop]" && managed.name == "mailer-of-the-n")
    }
}
