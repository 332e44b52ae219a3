// A service that others need: here it only takes its time and tells of it.

import Glibc
import Prefork

struct Failure: Error, CustomStringConvertible {
    let description: String
}

final class Part: AsyncService {
    let lifecycle: Lifecycle
    let dependencies: [DependencyGroup]
    private let teller: Teller

    init(_ name: String, _ options: Options, _ worker: Worker?, needs: [DependencyGroup] = []) {
        lifecycle = Lifecycle(name)
        dependencies = needs
        teller = Teller(name: name, willCrash: options.crash == name, worker: worker)
    }

    func start() async throws {
        try await teller.start()
        try addTask("connection") { [teller] in try await teller.live() }
    }

    func stop() async throws { try await teller.stop() }
}

/// What all services of this example do: they connect, live, and say goodbye.
struct Teller: Sendable {
    let name: String
    let willCrash: Bool
    let worker: Worker?

    func start() async throws {
        try await EventLoop.sleep(for: .milliseconds(20))
        say("started")
    }

    func live() async throws {
        repeat { try await EventLoop.sleep(for: willCrash ? .milliseconds(200) : .seconds(86_400)) } while !willCrash
        throw Failure(description: "connection lost")
    }

    func stop() async throws {
        say("stops")
        try await EventLoop.sleep(for: .milliseconds(20))
        if willCrash { throw Failure(description: "no connection to say goodbye on") }
    }

    /// A line on standard output, in one piece.
    func say(_ text: String) {
        let line = Array("worker \(worker?.taskID ?? 0): \(name) \(text)\n".utf8)
        _ = write(STDOUT_FILENO, line, line.count)
    }
}
