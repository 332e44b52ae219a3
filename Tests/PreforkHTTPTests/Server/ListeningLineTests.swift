// The line that says where a pool listens, and by which protocol.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ListeningLineTests {
    private func lines(_ program: ChildProgram) -> [String] {
        program.errors.split(separator: "\n").compactMap { line in
            line.firstRange(of: " info: listening on ").map { String(line[$0.upperBound...]) }
        }
    }

    private func stop(_ program: ChildProgram) async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0)
    }

    @Test(arguments: [1, 4], [false, true])
    func `Each listener with its scheme if it is served by HTTP`(workers: Int, isLate: Bool) async throws {
        let (path, control) = (try temporaryPath(), try temporaryPath())
        let program = try ChildProgram(
            "http-fixture",
            ["\(workers)", "http=[::1]:0", "http=unix:\(path)", "plain=127.0.0.1:0"] + (isLate ? ["late"] : []),
            environment: ["PREFORK_CONTROL": control, "PREFORK_METRICS": "127.0.0.1:0"])
        let port = try await program.waitForLine("port ")
        try await eventually("a line\n\(program.errors)") { !self.lines(program).isEmpty }
        let places = lines(program)[0].split(separator: ", ")
        // Neither the control socket nor the port of the metrics is the program's.
        #expect(places.count == 4, "\(places)")
        #expect(places[0] == "http://127.0.0.1:\(port)")
        #expect(places[1].hasPrefix("http://[::1]:") && places[2] == "http://unix:\(path)")
        #expect(places[3].hasPrefix("127.0.0.1:"))
        let all = program.errors.split(separator: "\n")
        let ready = all.firstIndex { $0.contains(" ready (pid ") && all.last { $0.contains(" ready (pid ") } == $0 }
        #expect(try #require(ready) < #require(all.firstIndex { $0.contains("listening on") }))
        try await stop(program)
    }

    @Test func `Once for a program, also after reloads, and by the program that an upgrade has brought`() async throws {
        let program = try ChildProgram("http-fixture", ["2"], environment: ["PREFORK_PROBATION": "0s"])
        let port = try await program.waitForLine("port ")
        for generation in 2...3 {
            program.send(.hangUp)
            try await eventually("a reload\n\(program.errors)") {
                program.errors.contains("reload: generation \(generation) serves")
            }
        }
        #expect(lines(program) == ["http://127.0.0.1:\(port)"])
        program.send(.user2)
        try await eventually("an upgrade\n\(program.errors)") { program.errors.contains("reload: generation 4 serves") }
        try await eventually("the new program's line\n\(program.errors)") { self.lines(program).count == 2 }
        #expect(lines(program)[1] == "http://127.0.0.1:\(port)")
        try await stop(program)
    }
}
