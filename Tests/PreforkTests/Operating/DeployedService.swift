// `deploy-fixture` and what its processes have noted.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// The steps of one part: lines `WORD PID TEXT`.
struct DeployLedger {
    let lines: [(word: Substring, pid: Substring, text: Substring)]

    init(_ path: String) {
        lines = read(path).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count == 3 ? (words[0], words[1], words[2]) : nil
        }
    }

    func of(_ word: String) -> [Substring] { lines.filter { $0.word == word }.map(\.text) }
    func numbers(_ word: String) -> [Int] { of(word).compactMap { Int($0) } }

    /// What was sent and is not handled.
    func unhandled(_ part: String) -> Set<Int> {
        let (sent, handled) = (numbers("sent"), Set(numbers("handled")))
        if part == "watch" { return Set([sent.max()].compactMap { $0 }).subtracting(handled) }
        // What is published before the first subscriber is there has no reader.
        let first = part == "subscription" ? numbers("got").min() ?? 0 : 0
        return Set(sent.filter { $0 >= first }).subtracting(handled).subtracting(numbers("refused"))
    }

    /// What must not be, whatever was done to the service. For `deploy-fixture` with one part.
    func faults(_ part: String, _ order: String) -> [String] {
        var faults: [String] = []
        let isCrash = order == "crash"
        let errors = of("error")
        // The call that a killed worker had taken fails.
        if errors.count > (isCrash && part == "call" ? 1 : 0) { faults.append("\(errors)") }
        if part == "tree" || part == "subprocess" {
            return of("start").sorted() == of("stop").sorted() || isCrash
                ? faults : faults + ["started \(of("start").count), stopped \(of("stop").count)"]
        }
        let (got, handled, refused) = (numbers("got"), Set(numbers("handled")), Set(numbers("refused")))
        if !isCrash, !handled.isSuperset(of: got) { faults.append("begun and not finished") }
        if part != "watch", !(isCrash && part == "unacknowledged"), Set(got).count != got.count {
            faults.append("twice: \(Dictionary(grouping: got) { $0 }.filter { $0.value.count > 1 }.keys)")
        }
        if !handled.isSubset(of: numbers("begin")) { faults.append("never sent, and handled") }
        if !refused.isEmpty, order != "stop" { faults.append("refused: \(refused)") }
        if !refused.isDisjoint(with: got) { faults.append("refused, and handled") }
        if !["queue", "unacknowledged", "watch"].contains(part) {
            for (_, own) in Dictionary(grouping: got, by: { $0 / 1_000_000 }) where own != own.sorted() {
                faults.append("another order")
            }
        }
        return faults
    }
}

final class DeployedService {
    let part: String
    let program: ChildProgram
    private let folder: String
    private let environment: [String: String]

    init(_ part: String, _ arguments: [String] = [], environment: [String: String] = [:]) async throws {
        self.part = part
        folder = try temporaryPath()
        mkdir(folder, 0o700)
        self.environment = environment.merging(["PREFORK_CONTROL": folder + "/control"]) { own, _ in own }
        program = try ChildProgram(
            "deploy-fixture",
            [part, "ledger=\(folder)/ledger", "pause=\(folder)/pause", "hold=\(folder)/hold", "busy=1"] + arguments,
            environment: self.environment)
        try await wait("the pool is up") { program.errors.contains("2 workers are ready") }
    }

    deinit {
        kill(-program.pid, SIGKILL)
        for name in entries(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    var ledger: DeployLedger { ledger(of: part) }

    func ledger(of part: String) -> DeployLedger {
        DeployLedger(self.part == "all" ? "\(folder)/ledger.\(part)" : folder + "/ledger")
    }

    func turnOn(_ name: String) { close(open("\(folder)/\(name)", O_CREAT | O_WRONLY, 0o600)) }
    func turnOff(_ name: String) { unlink("\(folder)/\(name)") }

    func wait(_ what: String, _ condition: () async throws -> Bool) async throws {
        try await eventually("\(what)\n\(program.output)\n\(program.errors)", condition)
    }

    /// Waits for so many more numbers that were sent.
    func waitForSends(_ count: Int, _ part: String? = nil) async throws {
        let part = part ?? self.part
        let before = ledger(of: part).of("sent").count
        try await wait("\(part) sends") { ledger(of: part).of("sent").count >= before + count }
    }

    @discardableResult
    func tell(_ words: String..., mayFail: Bool = false) async throws -> String {
        let tool = try ChildProgram("preforkctl", words, environment: environment)
        let code = try await tool.waitForExit(within: .seconds(60))
        if !mayFail { #expect(code == 0, "\(words): \(tool.output)\(tool.errors)\n\(program.errors)") }
        return tool.output
    }

    /// The process of slot 0.
    var worker: Int32 {
        let lines = program.errors.split(separator: "\n").filter { $0.contains("worker 0 ready") }
        return lines.last?.firstRange(of: "(pid ").flatMap { found in
            lines.last.flatMap { Int32($0[found.upperBound...].prefix { $0.isNumber }) }
        } ?? 0
    }

    /// Nothing is sent any more, and all that was is handled.
    ///
    /// - Parameter lost: what a killed process may have taken with it.
    func settle(_ parts: [String]? = nil, lost: Int = 0) async throws {
        turnOn("pause")
        for part in parts ?? [part] {
            try await wait("\(part) pauses") { !ledger(of: part).of("paused").isEmpty }
            if part == "tree" || part == "subprocess" { continue }
            try await wait("\(part): \(ledger(of: part).unhandled(part)) are handled") {
                ledger(of: part).unhandled(part).count <= lost
            }
        }
    }

    /// Ends it, which must succeed and leave no process.
    func end() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(40)) == 0, "\(program.output)\(program.errors)")
        #expect(program.groupSize == 0)
    }
}
