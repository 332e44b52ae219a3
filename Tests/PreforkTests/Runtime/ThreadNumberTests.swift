// Swift's Mutex notes thread IDs in each object file. A fork makes the notes of the thread that forked wrong.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

private let needsNamespace: ConditionTrait = .enabled(
    if: ProcessNamespace.isAvailable, "no right to make a PID namespace")

@Suite(.timeLimit(.minutes(2))) struct ThreadNumberTests {
    @Test func threadsOfWorkersAndOfTheirChildrenContendForALock() async throws {
        try await contend(preparation: nil)
    }

    @Test(needsNamespace) func theyDoSoBelowASupervisorThatIsProcessOne() async throws {
        try await contend(preparation: ProcessNamespace.entering)
    }

    @Test(needsNamespace) func soDoManagedChildrenOfProcessOneAndTheirChildren() async throws {
        let program = try ChildProgram("manager-fixture", ["locks"], preparation: ProcessNamespace.entering)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(program.errors)")
        let lines = program.output.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("counted") } == ["counted 1200001", "counted 1200001"], "\(program.errors)")
        #expect(lines.last == "exit child 1 exited with code 0")
    }

    private func contend(preparation: String?, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let program = try ChildProgram("fork-fixture", ["contend"], preparation: preparation)
        #expect(
            try await program.waitForExit(within: .seconds(90)) == 0, "\(program.output)\(program.errors)",
            sourceLocation: sourceLocation)
        let lines = program.output.split(separator: "\n")
        #expect(lines.contains("supervisor has process ID 1") == (preparation != nil), sourceLocation: sourceLocation)
        let names = ["child of 0", "child of 1", "worker 0", "worker 1"]
        #expect(
            lines.filter { $0.contains(" counted ") }.sorted() == names.map { "\($0) counted 2001" },
            "\(program.errors)", sourceLocation: sourceLocation)
    }
}
