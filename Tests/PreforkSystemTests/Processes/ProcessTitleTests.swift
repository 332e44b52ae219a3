// Titles in ps(1), and what they must not damage.

import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct ProcessTitleTests {
    private let title = "prefork: worker 3 g2 ready [shop]"

    @Test(arguments: [["PREFORK_TEST_LONG": String(repeating: "v", count: 2_000)], [:]])
    func theKernelShowsItAndArgumentsAndEnvironmentStay(environment: [String: String]) async throws {
        let program = try ChildProgram("host-fixture", ["title", title, "a", "bä"], environment: environment)
        try await program.waitForLine("set")
        #expect(read("/proc/\(program.pid)/cmdline") == "\(title)\0")
        #expect(read("/proc/\(program.pid)/comm") == "worker 3 g2\n")
        #expect(try await program.waitForLine("arguments ") == "\(title)|a|bä")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func withoutAnEnvironmentTheArgumentsAreTheRoom() async throws {
        let program = try ChildProgram("host-fixture", ["title", title], preparation: "exec env -i \"$0\" \"$@\"")
        try await program.waitForLine("set")
        #expect(read("/proc/\(program.pid)/cmdline").hasPrefix(title))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func theRoomIsReadFromTheStatOfAProcessOfAnyName() {
        let fields = (3...52).map { "\($0 >= 48 ? $0 * 1_000 : $0)" }.joined(separator: " ")
        let area = ProcessTitle.Area(argStart: 48_000, argEnd: 49_000, envStart: 50_000, envEnd: 51_000)
        #expect(ProcessTitle.area("12 (a) b (c) \(fields)\n") == area)
    }

    @Test(arguments: ["", "1 (x", "1 (x) S 1 2", "1 (x) " + String(repeating: "0 ", count: 60)])
    func whereTheKernelDoesNotTellThereIsNone(stat: String) {
        #expect(ProcessTitle.area(stat) == nil)
    }
}
