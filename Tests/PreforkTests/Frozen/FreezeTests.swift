// Freezing in real processes: what stays shared, what may be done with frozen values, and where it is refused.

import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct FreezeTests {
    @Test func `Reading a frozen table copies a twentieth of what reading another one copies, at most`() async throws {
        let program = try ChildProgram("fork-fixture", ["freeze", "50000"])
        for who in ["worker 0", "worker 1", "managed"] {
            let words = try await program.waitForLine("\(who) frozen ", within: .seconds(60)).split(separator: " ")
            let (frozen, plain) = (try #require(Int(words[0])), try #require(Int(words[2])))
            // 100,000 texts of more than 64 bytes with their headers, and a storage of 65,536 × 4/3 × 32 bytes.
            #expect(plain > 8 << 20, "\(who): the instrument sees copies")
            #expect(frozen * 20 <= plain, "\(who): \(frozen) of \(plain) bytes")
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0)
    }

    @Test func `Forked processes and processes with threads are refused, and a reload may freeze`() async throws {
        let program = try ChildProgram("fork-fixture", ["freeze-refused"])
        try await program.waitForLine("all ready")
        try await program.waitForLine("managed: ")
        program.send(.hangUp)
        try await program.waitForLine("reload: frozen")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let lines = program.output.split(separator: "\n").map(String.init)
        let refusal =
            "cannot freeze in a forked process: freeze in the program's main process, before its workers are forked"
        #expect(lines.first == "before: frozen")
        #expect(lines.contains("worker: \(refusal)") && lines.contains("managed: \(refusal)"))
        #expect(
            lines.last == """
                threads: cannot freeze: this process has 2 threads. Freeze before anything starts threads: Swift tasks and \
                their sleeps, Dispatch, a logging or metrics library
                """)
    }

    @Test func `A runtime that counts in another way turns freezing off, with one warning`() async throws {
        let program = try ChildProgram("fork-fixture", ["freeze-off"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let lines = program.output.split(separator: "\n").map(String.init)
        #expect(lines.prefix(2) == ["frozen 0, immortal false", "frozen 0, immortal false"])
        #expect(lines.last == "worker has a node, a name of more than fifteen bytes")
        let warnings = program.errors.split(separator: "\n").filter { $0.contains("freeze is turned off") }
        #expect(warnings.count == 1, "\(program.errors)")
        #expect(warnings.first?.contains("make [0x80000004ffffffff, 0x80000006ffffffff, 0x80000004ffffffff]") == true)
    }

    @Test func `Every kind of value is walked, and frozen values are copied when they are changed`() async throws {
        let program = try ChildProgram("fork-fixture", ["freeze-values"])
        #expect(try await program.waitForExit(within: .seconds(90)) == 0, "\(program.errors)")
        let lines = program.output.split(separator: "\n").map(String.init)
        let expected = [
            "string 1 0 0", "substring 1", "array 3 1 0", "contiguous 2", "slice 3", "dictionary 4 1 0", "set 3",
            "optional 1 0 2", "enum 4", "struct 3", "class 5", "character 0 1", "tuples 5, named 3, foreign 2",
            "cycle 5 0 true", "list 400000", "tree 100001",
            "copied true true", "copied 2 3 1 2", "copied true", "unique true false true 1",
            "freed 0", "freed 1",
            "weak before 4 false true true", "weak before true", "weak before, freed 1",
            "weak after false true true", "weak after, freed 0", "unowned true true",
        ]
        #expect(lines == expected)
    }
}
