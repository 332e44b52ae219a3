// A channel between two processes: round trips of 64 bytes, and messages of one size one way.

import Glibc
import Prefork
import PreforkSystem

let channelRows: Rows = [
    "round-trip": roundTripRow, "round-trip-blocking": blockingRoundTripRow, "one-way": oneWayRow,
]

/// One byte is the end.
private let end: [UInt8] = [0]

/// Runs one body in this process and one in a child, each on an event loop that is its process's executor.
private func inTwoProcesses(
    here: @escaping @Sendable () async throws -> Void, there: @escaping @Sendable () async throws -> Void
) throws {
    let parent = getpid()
    switch try forkProcess() {
    case .child:
        guard becomeChild(of: parent, closing: []) else { exitChild(code: 1) }
        do {
            try onOwnLoop(there)
        } catch {
            _ = writeToStandardErrorWithoutBlocking("the other process: \(error)\n")
            exitChild(code: 70)
        }
        exitChild(code: 0)
    case .parent(let child):
        try onOwnLoop(here)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        guard status == 0 else { throw WorkersFailed(reason: "the other process ended with status \(status)") }
    }
}

private func onOwnLoop(_ body: @escaping @Sendable () async throws -> Void) throws {
    let loop = try EventLoop()
    loop.becomeProcessExecutor()
    try loop.run(body)
}

/// With a pause before each, both sides are surely asleep when a message comes.
@Sendable private func roundTripRow(_ arguments: Arguments) throws {
    let channel = try Channel<[UInt8]>(name: "measured")
    let count = try arguments.integer(0)
    let pause = Duration.microseconds(try arguments.integer(1))
    try inTwoProcesses {
        let message = [UInt8](repeating: 120, count: 64)
        var seconds: [Double] = []
        for index in -10..<count {
            if pause > .zero { try await EventLoop.sleep(for: pause) }
            let start = now()
            try await channel.send(message)
            let reply = try await channel.receive()
            if index >= 0 { seconds.append(now() - start) }
            guard reply.count == message.count else { throw WrongMessage(bytes: reply.count) }
        }
        try await channel.send(end)
        report(latencies: seconds)
    } there: {
        while case let message = try await channel.receive(), message.count > end.count {
            try await channel.send(message)
        }
    }
}

/// The same without loops: the threads themselves wait.
@Sendable private func blockingRoundTripRow(_ arguments: Arguments) throws {
    let channel = try Channel<[UInt8]>(name: "measured")
    let count = try arguments.integer(0)
    let pause = UInt32(try arguments.integer(1))
    let parent = getpid()
    guard case .parent(let child) = try forkProcess() else {
        guard becomeChild(of: parent, closing: []) else { exitChild(code: 1) }
        do {
            while case let message = try channel.receiveBlocking(), message.count > end.count {
                try channel.sendBlocking(message)
            }
        } catch {
            _ = writeToStandardErrorWithoutBlocking("the other process: \(error)\n")
            exitChild(code: 70)
        }
        exitChild(code: 0)
    }
    let message = [UInt8](repeating: 120, count: 64)
    var seconds: [Double] = []
    for index in -10..<count {
        if pause > 0 { usleep(pause) }
        let start = now()
        try channel.sendBlocking(message)
        let reply = try channel.receiveBlocking()
        if index >= 0 { seconds.append(now() - start) }
        guard reply.count == message.count else { throw WrongMessage(bytes: reply.count) }
    }
    try channel.sendBlocking(end)
    report(latencies: seconds)
    var status: Int32 = 0
    waitpid(child, &status, 0)
    guard status == 0 else { throw WorkersFailed(reason: "the other process ended with status \(status)") }
}

private struct WrongMessage: Error {
    let bytes: Int
}

/// From the first message to the end.
@Sendable private func oneWayRow(_ arguments: Arguments) throws {
    let channel = try Channel<[UInt8]>(name: "measured")
    let size = try arguments.integer(0)
    let duration = try arguments.number(1)
    try inTwoProcesses {
        guard try await channel.receive().count == size else { throw WrongMessage(bytes: size) }
        let start = now()
        var count = 0
        while try await channel.receive().count == size { count += 1 }
        let elapsed = now() - start
        report([
            "messages_per_s": Double(count) / elapsed, "gb_per_s": Double(count) * Double(size) / elapsed / 1e9,
        ])
    } there: {
        let message = [UInt8](repeating: 1, count: size)
        let start = now()
        var number = 0
        while number % 64 != 0 || now() - start < duration {
            try await channel.send(message)
            number += 1
        }
        try await channel.send(end)
    }
}
