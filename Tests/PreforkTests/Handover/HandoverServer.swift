// `handover-fixture` and its clients, as tests use them.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

final class HandoverServer {
    let program: ChildProgram
    let port: UInt16
    private let faults: String

    /// - Parameter faults: lines of the fixture's file of faults.
    init(workers: Int = 1, faults: [String] = [], environment: [String: String] = [:]) async throws {
        self.faults = try temporaryFile()
        guard let file = fopen(self.faults, "w") else { throw NotInTime(description: "no file of faults") }
        for line in faults { fputs(line + "\n", file) }
        fclose(file)
        program = try ChildProgram(
            "handover-fixture", ["faults=\(self.faults)", "workers=\(workers)"], environment: environment)
        let line = try await program.waitForLine("port ")
        port = UInt16(line.split(separator: ":").last ?? "") ?? 0
        try await waitForLog(workers == 1 ? "worker is ready" : "workers are ready")
    }

    deinit {
        program.killGroup()
        unlink(faults)
    }

    func waitForLog(_ text: String) async throws {
        try await eventually("the log says \(text)\n\(program.errors)") { self.program.errors.contains(text) }
    }

    /// A reload, or an upgrade to the same program, until the new workers serve.
    func replaceWorkers(by signal: Signal = .hangUp, generation: Int) async throws {
        program.send(signal)
        try await waitForLog("reload: generation \(generation) serves")
    }

    /// The same, until the old workers have ended: all that moves has moved by then.
    func replaceWorkersWholly(by signal: Signal = .hangUp, generation: Int) async throws {
        let old = Set(program.children)
        try await replaceWorkers(by: signal, generation: generation)
        try await eventually("the old workers have ended\n\(program.errors)") { old.isDisjoint(with: program.children) }
    }

    func end() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0)
        try await eventually("no process is left") { self.program.groupSize == 0 }
    }
}

/// A client that knows how many lines it has sent.
final class LineClient {
    struct Answer: Equatable {
        let count: Int
        let generation: Int
        let pid: Int32
        let text: String
    }

    enum Outcome: Equatable {
        case answered(Answer)
        /// The server has ended the connection.
        case ended
    }

    let client: Client
    private var unread: [UInt8] = []
    private(set) var sent = 0

    init(_ server: HandoverServer) throws { client = try Client(port: server.port) }

    func send(_ text: String) throws {
        sent += 1
        try client.send(text + "\n")
    }

    /// - Returns: nil at the end of the connection.
    func line() -> String? {
        while true {
            if let end = unread.firstIndex(of: 10) {
                defer { unread.removeSubrange(...end) }
                return String(decoding: unread[..<end], as: UTF8.self)
            }
            guard let more = try? client.receive(), !more.isEmpty else { return nil }
            unread += more
        }
    }

    func outcome() throws -> Outcome {
        guard let line = line(), line != "bye" else { return .ended }
        let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 4, let count = Int(words[0]), let generation = Int(words[1]), let pid = Int32(words[2])
        else { throw NotInTime(description: "the server said \(line)") }
        return .answered(Answer(count: count, generation: generation, pid: pid, text: String(words[3])))
    }

    /// Sends a line, and gets its answer.
    func ask(_ text: String = "x") throws -> Answer {
        try send(text)
        guard case .answered(let answer) = try outcome() else {
            throw NotInTime(description: "the connection has ended")
        }
        guard answer.count == sent else { throw NotInTime(description: "\(answer.count) lines instead of \(sent)") }
        return answer
    }

    /// As `ask`, of a connection that may have ended.
    func askIfOpen(_ text: String = "x") throws -> Outcome {
        do { try send(text) } catch { return .ended }
        let outcome = try outcome()
        if case .answered(let answer) = outcome, answer.count != sent {
            throw NotInTime(description: "\(answer.count) lines instead of \(sent)")
        }
        return outcome
    }
}
