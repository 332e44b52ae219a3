// Signals that are orders to a supervisor, as its workers get them with the whole process group.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct OrderSignalTests {
    private static let orders = [SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU]
    private static let handled = [String](repeating: "handled", count: orders.count)

    /// The processes that have said `name`, and what they do about orders.
    private func processes(_ name: String, of program: ChildProgram) -> [(pid: Int32, actions: [String])] {
        program.output.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.first == name, let pid = words.dropFirst().first.flatMap({ Int32($0) }) else { return nil }
            return (pid, Array(words.dropFirst(2)))
        }
    }

    /// The signals that programs ignore which the workers have executed, as bits.
    private func executed(by program: ChildProgram) async throws -> [UInt64] {
        var masks: [UInt64] = []
        try await eventually("two programs were executed\n\(program.output)") {
            masks = program.output.split(separator: "\n").compactMap { line in
                line.hasPrefix("executed") ? line.split(separator: " ").last.flatMap { UInt64($0, radix: 16) } : nil
            }
            return masks.count == 2
        }
        return masks
    }

    @Test(arguments: ["runtime", "tornado"]) func `Orders do nothing to workers and managed processes`(
        form: String
    ) async throws {
        let program = try ChildProgram("fork-fixture", ["disregard", form])
        let others = form == "runtime" ? 2 : 0
        try await eventually("all have begun\n\(program.output)") {
            processes("worker", of: program).count == 2 && processes("managed", of: program).count == others
        }
        let all = processes("worker", of: program) + processes("managed", of: program)
        for process in all { #expect(process.actions == Self.handled) }
        for mask in try await executed(by: program) {
            for number in Self.orders { #expect(mask & 1 << UInt64(number - 1) == 0, "signal \(number)") }
        }
        for process in all {
            for number in Self.orders { kill(process.pid, number) }
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(processes("worker", of: program).count == 2, "none was replaced\n\(program.errors)")
        if form == "runtime" { #expect(processes("stops", of: program).count == 2) }
        for name in ["SIGHUP", "SIGUSR1", "SIGUSR2"] { #expect(!program.errors.contains("killed by \(name)")) }
    }

    @Test func `What was ignored at the start stays ignored`() async throws {
        let program = try ChildProgram("fork-fixture", ["disregard", "tornado"], preparation: "trap '' HUP USR1")
        for mask in try await executed(by: program) { #expect(mask & 1 << UInt64(SIGHUP - 1) != 0) }
        for process in processes("worker", of: program) {
            #expect(process.actions == ["ignored", "ignored"] + Self.handled.dropFirst(2))
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func `A program that asks for an order gets it, and still hears of its stop`() async throws {
        let program = try ChildProgram("fork-fixture", ["taken-orders"])
        let worker = try #require(Int32(try await program.waitForLine("worker ")))
        for signal in [SIGUSR1, SIGUSR2, SIGHUP] { kill(worker, signal) }
        for line in ["early", "late", "read SIGHUP"] { try await program.waitForLine(line) }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("stops\n") && !program.output.contains("read SIGTERM"))
    }

    @Test(arguments: [Signal.hangUp, .user1, .user2])
    func `An order to the whole group leaves workers what they have in hand`(order: Signal) async throws {
        let program = try ChildProgram("fork-fixture", ["in-hand"])
        try await eventually("both have begun") { processes("begins", of: program).count == 2 }
        let first = Set(processes("begins", of: program).map(\.pid))
        kill(-program.pid, order.rawValue)
        try await eventually("both have finished\n\(program.output)\n\(program.errors)") {
            first.isSubset(of: Set(processes("finishes", of: program).map(\.pid)))
        }
        // A supervisor that still tries out a program would wait for it.
        if order == .user2 { try await eventually("upgraded") { program.errors.contains("generation 2 serves") } }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(!program.errors.contains("killed by"), "\(program.errors)")
    }
}
