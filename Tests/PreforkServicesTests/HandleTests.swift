// The handle of a background task, and errors without their wrapping.

import PreforkServices
import PreforkServicesTestKit
import Testing

private final class BlockingRoot: BlockingService {
    func start() throws { throw Broken() }
}

@Suite(.timeLimit(.minutes(2))) struct HandleTests {
    @Test func `a background task gives its value`() async throws {
        try await ScriptedService("root").withRunning { root in
            let answer = try root.addTask { 42 }
            #expect(try await answer.value == 42)
        }
    }

    @Test func `a background task that fails tells its handle and ends the tree`() async throws {
        let root = ScriptedService("root")
        let error = await thrown {
            try await root.withRunning { root in
                let task = try root.addTask("sore") { () async throws -> Int in throw Broken() }
                #expect(await thrown { try await task.value } is Broken)
                try await root.wait()
            }
        }
        #expect(error?.kind == .taskFailed && error?.cause is Broken)
    }

    @Test func `a background task that is cancelled by its handle is no failure`() async throws {
        try await ScriptedService("root").withRunning { root in
            let gate = Gate()
            let task = try root.addTask { try await gate.pass() }
            try await eventually("it waits") { gate.waiting == 1 }
            task.cancel()
            #expect(await thrown { try await task.value } is CancellationError)
            #expect(root.running)
        }
    }

    @Test func `the stop of a service cancels tasks that somebody waits for`() async throws {
        let root = ScriptedService("root"), gate = Gate()
        let waiter = try await root.withRunning { root in
            let task = try root.addTask { try await gate.pass() }
            return Task { await thrown { try await task.value } }
        }
        #expect(await waiter.value is CancellationError)
    }

    @Test func `plain errors are what the service's code has thrown`() async throws {
        let starts = ScriptedService("root", needs: [.one(ScriptedService("low", start: { _ in throw Broken() }))])
        #expect(await thrown { try await starts.run(throwing: .plain) } is Broken)
        #expect(await thrown { try await starts.withRunning(throwing: .plain) { _ in } } is Broken)
        #expect(await thrown { try await starts.run(throwing: .wrapped) }?.kind == .startFailed)
        #expect(await thrown { try await starts.run() }?.kind == .startFailed)

        let tasks = ScriptedService("root", start: { service in try service.addTask { throw Broken() } })
        #expect(await thrown { try await tasks.run(throwing: .plain) } is Broken)
        let waiting = await thrown {
            try await tasks.withRunning { _ in
                #expect(await thrown { try await tasks.wait(throwing: .plain) } is Broken)
            }
        }
        #expect(waiting?.kind == .taskFailed)

        let stops = ScriptedService("root", stop: { _ in throw Broken() })
        #expect(await thrown { try await stops.withRunning(throwing: .plain) { _ in } } is Broken)
        #expect(await thrown { try BlockingRoot().withRunning(throwing: .plain) { _ in } } is Broken)
    }

    @Test func `plain errors stay wrapped when there is more to tell or no cause`() async throws {
        let low = ScriptedService("low", stop: { _ in throw Broken() })
        let root = ScriptedService("root", needs: [.one(low)], start: { _ in throw Broken() })
        let error = await thrown { try await root.run(throwing: .plain) }
        #expect(error?.kind == .startFailed && error?.suppressed.count == 1)
        let never = ScriptedService("never")
        #expect(await thrown { try await never.wait(throwing: .plain) }?.kind == .notRunning)
        // A service that runs another tree: the cause of the cause.
        let inner = ServiceError(.startFailed, service: "inner", cause: Broken())
        #expect(ServiceError(.startFailed, service: "outer", cause: inner).plain is Broken)
    }
}
