// `ops-fixture` and clients under load, as tests use them.

import Glibc
import PreforkSystem
import PreforkTestSupport

/// The fixture's server with its folder of switches.
final class OperatedProgram {
    let program: ChildProgram
    let port: UInt16
    /// Of the switches.
    let folder: String
    /// A copy of the fixture that a test may replace or remove.
    private let copy: String?

    /// - Parameters:
    ///   - ownCopy: runs a copy of the fixture at a path of its own.
    ///   - path: runs the fixture by this path.
    ///   - preparation: as of `ChildProgram`.
    ///   - scenario: of the fixture.
    init(
        _ arguments: [String] = [], environment: [String: String] = [:], ownCopy: Bool = false, path: String? = nil,
        preparation: String? = nil, scenario: String = "serve"
    ) async throws {
        folder = try temporaryPath()
        mkdir(folder, 0o700)
        copy = ownCopy ? folder + "/program" : nil
        if let copy { try Self.copyFixture(to: copy) }
        program = try ChildProgram(
            path ?? copy ?? "ops-fixture", [scenario, "switches=\(folder)"] + arguments, environment: environment,
            preparation: preparation)
        let line = try await program.waitForLine("port ")
        port = UInt16(line.split(separator: " ").first?.split(separator: ":").last ?? "") ?? 0
        try await waitForLog("all workers are ready") {
            $0.contains("workers are ready") || $0.contains("worker is ready")
        }
    }

    deinit {
        program.killGroup()
        for name in entries(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    func turnOn(_ name: String) { close(open("\(folder)/\(name)", O_CREAT | O_WRONLY, 0o600)) }
    func turnOff(_ name: String) { unlink("\(folder)/\(name)") }

    /// Puts something else at the program's path. If nil, nothing.
    func replaceProgram(with bytes: [UInt8]?) throws {
        guard let copy else { return }
        unlink(copy)
        guard let bytes else { return }
        let file = open(copy, O_CREAT | O_WRONLY, 0o755)
        _ = write(file, bytes, bytes.count)
        close(file)
    }

    func replaceProgram(withAnother product: String) throws {
        guard let copy else { return }
        unlink(copy)
        symlink(product, copy)
    }

    /// Puts the fixture back.
    func restoreProgram() throws {
        guard let copy else { return }
        unlink(copy)
        try Self.copyFixture(to: copy)
    }

    var workers: [Int32] { program.children }

    /// Which worker answers: task ID, process ID, generation.
    func ask() throws -> (task: Int, pid: Int32, generation: Int) {
        let words = try get("/", port: port).body.split(separator: " ")
        guard words.count == 3 else { throw ClientError.strange(words.joined(separator: " ")) }
        return (Int(words[0]) ?? -1, Int32(words[1]) ?? -1, Int(words[2]) ?? -1)
    }

    @discardableResult
    func waitForLog(_ what: String, _ condition: (String) -> Bool) async throws -> String {
        try await eventually("the log says: \(what)\n\(program.output)\n\(program.errors)") {
            condition(self.program.errors)
        }
        return program.errors
    }

    /// How many lines of the log have `text`.
    func count(_ text: String) -> Int { program.errors.split(separator: "\n").count { $0.contains(text) } }

    func waitForLog(containing text: String, times: Int = 1) async throws {
        try await waitForLog(text) { $0.split(separator: "\n").count { $0.contains(text) } >= times }
    }

    /// Ends it, which must succeed and leave no process.
    func end() async throws -> Bool {
        program.send(.terminate)
        let code = try await program.waitForExit(within: .seconds(40))
        // What a worker has forked is killed by the kernel at its end, a moment later (PR_SET_PDEATHSIG).
        try await eventually("no process is left") { program.groupSize == 0 }
        return code == 0 && program.output.contains("outcome stopped")
    }

    static func copyFixture(to path: String) throws {
        guard system("cp '\(ChildProgram.path(of: "ops-fixture"))' '\(path)'") == 0 else {
            throw ClientError.strange("cp")
        }
    }
}

/// Clients of a server, counting.
final class ConstantLoad {
    private let program: ChildProgram

    init(on port: UInt16, keep: Int = 4, once: Int = 2) async throws {
        program = try ChildProgram("ops-fixture", ["load", "port=\(port)", "keep=\(keep)", "once=\(once)"])
        try await program.waitForLine("load runs")
    }

    /// - Returns: how many requests were answered, and what the others met with.
    func stop() async throws -> (answers: Int, failures: Int, reasons: String) {
        program.send(.terminate)
        _ = try await program.waitForExit()
        let words = program.output.split(separator: "\n").last?.split(separator: " ") ?? []
        guard words.count == 4 else { throw NotInTime(description: "the load said \(program.output)") }
        return (Int(words[1]) ?? -1, Int(words[3]) ?? -1, program.errors)
    }
}

extension ClientError {
    static func strange(_ text: String) -> NotInTime { NotInTime(description: text) }
}
