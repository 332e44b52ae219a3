// Accept queues of SO_REUSEPORT that have no worker of their own.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct AcceptQueueTests {
    /// Connections from so many ports come to each of four queues: (3/4)^64 is one in a hundred million.
    private static let connections = 64

    private func server(
        workers: Int = 4, _ more: [String] = [], environment: [String: String] = [:]
    ) async throws -> OperatedProgram {
        try await OperatedProgram(["workers=\(workers)", "queues=4"] + more, environment: environment)
    }

    /// Every connection gets an answer, whichever queue it comes to.
    ///
    /// - Returns: the task IDs of the workers that answered.
    @discardableResult
    private func askAll(_ server: OperatedProgram) throws -> Set<Int> {
        let clients = try (0..<Self.connections).map { _ in try Client(port: server.port, timeout: 10) }
        for client in clients { try client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }
        return Set(try clients.map { client in
            let answer = try client.response()
            return Int(answer.body.split(separator: " ").first ?? "") ?? -1
        })
    }

    private func pid(of taskID: Int, _ server: OperatedProgram) async throws -> Int32 {
        var found: Int32?
        try await eventually("worker \(taskID) answers") {
            // The kernel chooses the queue: an answer in four is its.
            for _ in 0..<50 where found == nil {
                let answer = try server.ask()
                if answer.task == taskID { found = answer.pid }
            }
            return found != nil
        }
        return try #require(found)
    }

    @Test func `A smaller pool than the program was written for serves every queue`() async throws {
        let server = try await server(environment: ["PREFORK_WORKERS": "2"])
        #expect(try askAll(server) == [0, 1])
        #expect(try await server.end())
    }

    @Test func `Queues find workers when the pool becomes smaller and when it becomes larger`() async throws {
        let server = try await server()
        #expect(try askAll(server) == [0, 1, 2, 3])
        for count in 1...3 {
            server.program.send(.fewerWorkers)
            try await server.waitForLog(containing: "workers instead of", times: count)
            #expect(try askAll(server).isSuperset(of: 0..<4 - count))
        }
        for count in 4...6 {
            server.program.send(.moreWorkers)
            try await server.waitForLog(containing: "workers instead of", times: count)
            try askAll(server)
        }
        try await eventually("all four serve") { try askAll(server) == [0, 1, 2, 3] }
        #expect(try await server.end())
    }

    @Test func `The queue of a worker that is done is another one's`() async throws {
        let server = try await server()
        for _ in 0..<3 {
            _ = try? get("/leave", port: server.port)
            try askAll(server)
        }
        #expect(try askAll(server).count == 1)
        #expect(try await server.end())
    }

    /// A successor that does not come up for long.
    @Test(arguments: ["crash", "drain"]) func `A queue does not wait for its worker's successor`(way: String) async throws {
        let socket = try temporaryPath()
        let server = try await server(environment: ["PREFORK_CONTROL": socket])
        server.turnOn("hang-worker")
        for taskID in [1, 3] {
            if way == "crash" {
                kill(try await pid(of: taskID, server), SIGKILL)
                try await server.waitForLog(containing: "worker \(taskID) started", times: 2)
            } else {
                let tool = try ChildProgram("preforkctl", ["drain", "\(taskID)"], environment: ["PREFORK_CONTROL": socket])
                #expect(try await tool.waitForExit() == 0)
            }
        }
        try await eventually("the other two have all queues") { try askAll(server) == [0, 2] }
        server.turnOff("hang-worker")
        try await eventually("all four serve again") { try askAll(server) == [0, 1, 2, 3] }
        #expect(try await server.end())
    }

    /// A worker's replacement has all of its queues, not only its own.
    @Test(arguments: ["auto", "-1"]) func `Reloads of a small pool leave no queue alone`(width: String) async throws {
        let server = try await server(environment: ["PREFORK_WORKERS": "2", "PREFORK_RELOAD": width])
        let load = try await ConstantLoad(on: server.port, keep: 2, once: 4)
        for generation in 2...4 {
            server.program.send(.hangUp)
            try await server.waitForLog(containing: "reload: generation \(generation) serves")
            try askAll(server)
        }
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try askAll(server) == [0, 1])
        #expect(try await server.end())
    }

    /// The group of the image before is taken over, and gets more queues, which none of the old workers has.
    @Test(arguments: ["more-queues", "fewer-queues"])
    func `An upgrade to another number of queues serves all and loses nothing`(change: String) async throws {
        let server = try await server(environment: ["PREFORK_WORKERS": "2"])
        let load = try await ConstantLoad(on: server.port, keep: 2, once: 4)
        server.turnOn(change)
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try askAll(server) == [0, 1])
        #expect(try await server.end())
    }

    /// No worker takes from a queue whose workers never come up.
    @Test func `While the workers of an upgrade to more queues boot, the old ones have every connection`() async throws {
        let server = try await server(["boot=60000"], environment: ["PREFORK_WORKERS": "2"])
        server.turnOn("more-queues")
        server.turnOn("hang-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "worker 0: its replacement started")
        for _ in 0..<3 { #expect(try askAll(server) == [0, 1]) }
        server.turnOff("hang-worker")
        try await server.waitForLog(containing: "reload: generation 2 serves")
        #expect(try askAll(server) == [0, 1])
        #expect(try await server.end())
    }

    /// The program before may ask for as many then: what it asks for stands in a file, for example.
    @Test func `After the way back from more queues all of them are served`() async throws {
        let server = try await server(["boot=5000"], environment: ["PREFORK_WORKERS": "2"])
        server.turnOn("more-queues")
        server.turnOn("hang-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "rolling back to the previous program")
        server.turnOff("hang-worker")
        // The program before makes new workers, because its old ones have four of the seven queues.
        try await server.waitForLog(containing: "serves, after")
        #expect(try askAll(server) == [0, 1])
        #expect(try await server.end())
    }
}
