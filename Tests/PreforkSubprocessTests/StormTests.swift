// Many starts and much output, at the size of a test suite. `Scripts/spawn-storm` has the large numbers.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct StormTests {
    private func output(_ arguments: String..., preparation: String? = nil) async throws -> String {
        let program = try ChildProgram("subprocess-fixture", arguments, preparation: preparation)
        #expect(try await program.waitForExit(within: .seconds(120)) == 0, "\(program.errors)")
        return program.output
    }

    @Test func aThousandStartsAtOnceLeakNoDescriptorIntoAChild() async throws {
        #expect(try await output("concurrent", "1000") == "clean 1000 of 1000, children 0\n")
    }

    @Test func manyStartsLeaveNothing() async throws {
        #expect(try await output("sequential", "2000") == "descriptors 0 children 0\n")
    }

    @Test func childrenKilledBySomebodyElseAreToldOfOnceAndLeaveNothing() async throws {
        #expect(try await output("killed", "400") == "killed 400 told 400, descriptors 0 children 0\n")
    }

    @Test func locksOfOtherThreadsDoNotReachTheChild() async throws {
        #expect(try await output("lock-storm", "2000") == "done, children 0\n")
    }

    @Test func muchOutputThroughAStoppedAndResumedReaderNeedsNoMemory() async throws {
        #expect(try await output("drain", "512") == "received \(512 << 20)\n")
    }

    @Test func childrenThatAreGoneBeforeTheirInputLeaveNothing() async throws {
        #expect(try await output("early-close", "500") == "descriptors 0 children 0\n")
    }

    @Test func aProgramWithoutStandardStreamsStartsOthersRight() async throws {
        let report = try TextFile("")
        _ = try await output("closed-stdio", report.path, preparation: "exec <&- >&- 2>&-")
        #expect(read(report.path) == "in\nerr\n/dev/null\n/dev/null\nstreamed\n")
    }
}
