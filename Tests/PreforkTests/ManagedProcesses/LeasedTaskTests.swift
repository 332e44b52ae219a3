// Once-tasks with a lease: pools that share a server are as machines that do.

#if Valkey
    import Foundation
    import PreforkSystem
    import PreforkTestSupport
    import Testing

    /// A server on a socket of its own, ended with the object.
    private final class LeaseServer {
        let folder: String
        private var program: ChildProgram
        static let path = ["/usr/bin/valkey-server", "/usr/bin/redis-server"].first { (path: String) in
            access(path, X_OK) == 0
        }

        init() throws {
            folder = try temporaryPath()
            mkdir(folder, 0o700)
            program = try Self.start(folder)
        }

        deinit {
            program.send(.kill)
            unlink(socket)
            rmdir(folder)
        }

        var socket: String { folder + "/s" }

        private static func start(_ folder: String) throws -> ChildProgram {
            let words = ["--unixsocket", folder + "/s", "--dir", folder, "--save", "", "--port", "0"]
            return try ChildProgram(try #require(path), words)
        }

        func kill() async throws {
            program.send(.kill)
            _ = try await program.waitForExit()
            unlink(socket)
        }

        /// It has forgotten everything.
        func startAgain() throws { program = try Self.start(folder) }
    }

    /// What a run has written of its lease.
    private struct Lease: Equatable {
        let token: Int64
        let due: Int64

        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard words.count == 7, words[1] == "token", let token = Int64(words[3]), let due = Int64(words[4]) else {
                return nil
            }
            (self.token, self.due) = (token, due)
        }
    }

    extension OnceProgram {
        fileprivate var leases: [Lease] { journal.split(separator: "\n").compactMap { Lease($0) } }
    }

    @Suite(.timeLimit(.minutes(4)), .enabled(if: LeaseServer.path != nil, "needs redis-server or valkey-server"))
    struct LeasedTaskTests {
        /// Two pools, which write to the journal of the first.
        private func pools(
            _ server: LeaseServer, _ arguments: [String], on: String? = nil
        ) async throws -> (OnceProgram, OnceProgram) {
            let words = arguments + ["lease=\(server.socket)"]
            let first = try await OnceProgram(words, on: on)
            let second = try await OnceProgram(words + ["journal=\(first.journalPath)"], on: on)
            return (first, second)
        }

        private func expectGrowing(_ leases: [Lease]) {
            for (one, next) in zip(leases, leases.dropFirst()) { #expect(one.token < next.token) }
        }

        @Test(arguments: ["process", "worker"])
        func `Each due time is begun by one of two pools, and none is left out`(place: String) async throws {
            let server = try LeaseServer()
            let words = ["every=250", "work=20", "misfire=each", "in=\(place)", "workers=2"]
            let (first, second) = try await pools(server, words)
            try await first.waitFor("end", 24)
            let (one, two) = (try await first.task(), try await second.task())
            try await first.end()
            try await second.end()
            let leases = first.leases
            expectGrowing(leases)
            let dues = leases.map(\.due).sorted()
            #expect(Set(dues).count == dues.count, "\(first.story)")
            #expect(dues.allSatisfy { $0 % 250 == 0 })
            #expect(Int(dues[dues.count - 1] - dues[0]) / 250 == dues.count - 1, "\(first.story)\n\(second.story)")
            let counts = [one, two].map { ($0["done"] as? Int ?? 0, $0["elsewhere"] as? Int ?? 0) }
            #expect(counts[0].1 + counts[1].1 > 0 && counts[0].0 + counts[1].0 >= 23, "\(counts)")
            #expect((first.program.errors + second.program.errors).contains("another machine has due time"))
        }

        @Test func `A killed run begins again in its own pool, with its due time and a larger token`() async throws {
            let server = try LeaseServer()
            let (first, second) = try await pools(server, ["every=31536000000"], on: "hang")
            _ = try await first.order("run", "task0")
            let run = try await first.waitFor("begin")
            // One of the other pool must not begin beside it.
            let (code, text) = try await second.order("run", "task0", "--wait")
            #expect(code == 1 && text.contains("(elsewhere)"), "\(text)")
            kill(run.pid, SIGKILL)
            let again = try await first.waitFor("begin", 2)
            first.turnOff("hang")
            try await first.waitFor("end")
            #expect(again.attempt == 2 && again.due == run.due)
            let leases = first.leases
            #expect(leases.count == 2 && leases[0].due == leases[1].due)
            expectGrowing(leases)
            let (later, output) = try await second.order("run", "task0")
            #expect(later == 0, "\(output)")
            second.turnOff("hang")
            try await first.waitFor("end", 2)
            expectGrowing(first.leases)
            try await first.end()
            try await second.end()
        }

        @Test func `A machine that dies keeps the others from a run until its lease expires`() async throws {
            let server = try LeaseServer()
            let first = try await OnceProgram(["every=200", "life=3000", "lease=\(server.socket)"], on: "hang")
            try await first.waitFor("begin")
            let second = try await OnceProgram(
                ["every=200", "life=3000", "lease=\(server.socket)", "journal=\(first.journalPath)"])
            try await second.waitForLog("another machine has due time")
            // Longer than its life: it was renewed.
            try await Task.sleep(for: .seconds(4))
            #expect(first.lines("begin").count == 1, "\(first.story)")
            let killed = MonotonicInstant.now.nanoseconds
            first.program.killGroup()
            let next = try await first.waitFor("begin", 2)
            // It was renewed in the last third of its life.
            #expect(next.time - killed > 1_500_000_000, "\(first.story)")
            try await first.waitFor("end", 2)
            expectGrowing(first.leases)
            try await second.end()
        }

        @Test func `Without the server no run begins, and with a new one tokens grow on`() async throws {
            let server = try LeaseServer()
            let program = try await OnceProgram(["every=300", "patience=200", "life=6000", "lease=\(server.socket)"])
            try await program.waitFor("end", 2)
            try await server.kill()
            try await program.waitForLog("has no run here, because the lease could not be had")
            let count = program.lines("begin").count
            try await program.waitForLog("has no run here, because the lease could not be had", times: 2)
            #expect(program.lines("begin").count == count, "\(program.story)")
            #expect(program.program.errors.contains("no lease: "))
            try server.startAgain()
            try await program.waitFor("end", count + 2)
            #expect(try await program.task()["noLease"] as? Int ?? 0 >= 2)
            expectGrowing(program.leases)
            try await program.end()
        }

        @Test(arguments: ["process", "worker"])
        func `A run whose lease the server has forgotten is cancelled`(place: String) async throws {
            let server = try LeaseServer()
            let program = try await OnceProgram(
                ["every=31536000000", "life=3000", "in=\(place)", "lease=\(server.socket)"], on: "hang")
            _ = try await program.order("run", "task0")
            try await program.waitFor("begin")
            try await server.kill()
            try server.startAgain()
            try await program.waitFor("cancelled")
            try await program.waitForLog("the lease was lost")
            try await eventually("it has failed") { try await program.task()["failed"] as? Int == 1 }
            try await program.end()
        }

        @Test func `The lease goes over an upgrade with the run`() async throws {
            let server = try LeaseServer()
            let program = try await OnceProgram(
                ["every=31536000000", "life=3000", "lease=\(server.socket)"], on: "hang")
            _ = try await program.order("run", "task0")
            let run = try await program.waitFor("begin")
            let (code, text) = try await program.order("upgrade", "--wait")
            #expect(code == 0, "\(text)")
            kill(run.pid, SIGKILL)
            // The new program is the same service: it has the lease again at once, and the due time.
            let again = try await program.waitFor("begin", 2)
            #expect(again.image == 2 && again.attempt == 2, "\(program.story)")
            program.turnOff("hang")
            try await program.waitFor("end")
            expectGrowing(program.leases)
            try await program.end()
        }
    }
#endif
