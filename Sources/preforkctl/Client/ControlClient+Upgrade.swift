// An upgrade by the control socket, with its end: the connection does not outlive it, because the program is replaced.

import PreforkSupervisor
import PreforkSystem

extension ControlClient {
    /// Asks the supervisor to become a new program, and waits until that has rolled its workers in and its probation is
    /// over, or the previous program continues.
    ///
    /// - Parameters:
    ///   - path: another program. If nil, what is now at the path that the service was started by.
    ///   - keeps: later upgrades start what is there, too.
    ///   - limit: the supervisor ends an upgrade by itself, after its boot timeout for each worker. This is the longest
    ///     time that a client waits for it.
    /// - Returns: what has been reached, for people.
    /// - Throws: `ControlClientError.refused` with the reason if the old program keeps running. `SystemError` if no
    ///   supervisor answers.
    static func upgrade(
        _ socket: String, to path: String?, keeps: Bool = false, within limit: Duration = .seconds(600)
    ) throws -> ForeignText {
        var members = path.map { [JSONValue.Member("path", .string(ForeignText($0)))] } ?? []
        if keeps { members.append(.init("keep", .bool(true))) }
        return try change(socket, "upgrade", members, until: .now + limit) { try outcome($0, before: $1) }
    }

    /// Asks the supervisor to become the program that ran before, and waits until that serves.
    static func rollback(_ socket: String, within limit: Duration = .seconds(600)) throws -> ForeignText {
        try change(socket, "rollback", [], until: .now + limit) { try rollbackOutcome($0, before: $1) }
    }

    private static func change(
        _ socket: String, _ order: String, _ members: [JSONValue.Member], until end: MonotonicInstant,
        _ outcome: (JSONValue, JSONValue) throws -> ForeignText?
    ) throws -> ForeignText {
        let client = try ControlClient(socket)
        let before = try client.ask(.order("status"), until: end)["status"] ?? .null
        do {
            let answer = try client.ask(.order(order, members + [.init("wait", .bool(true))]), until: end)
            return answer["message"]?.string ?? "done"
        } catch ControlClientError.closedWithoutAnswer {
            return try wait(socket, before: before, until: end, for: outcome)
        }
    }

    private static func wait(
        _ socket: String, before: JSONValue, until end: MonotonicInstant,
        for outcome: (JSONValue, JSONValue) throws -> ForeignText?
    ) throws -> ForeignText {
        while MonotonicInstant.now < end {
            _ = try Polling.waitUntilReadable([], until: .now + .milliseconds(100))
            guard let status = try? ControlClient(socket).ask(.order("status"), until: end)["status"] else { continue }
            if let outcome = try outcome(status, before) { return outcome }
        }
        throw ControlClientError.refused("the upgrade did not end in time")
    }

    /// If nil, the upgrade is still in progress.
    static func outcome(_ status: JSONValue, before: JSONValue) throws -> ForeignText? {
        guard status["supervisor"] == before["supervisor"] else {
            throw ControlClientError.refused("the supervisor has ended, and another one answers")
        }
        let state = status["reload"]?["state"]
        // The end of its probation decides, too.
        if state == .string("running") || state == .string("probation") { return nil }
        if status["phase"] != .string("running") { return nil }
        let generation = status["generation"]?.integer ?? 0
        // The new program's workers are the next generation, rolled in. If they fail, the old program comes back:
        // without a reload if all of its workers still serve, else with one more generation.
        guard generation == (before["generation"]?.integer ?? 0) + 1, status["reload"]?["state"] == .string("done")
        else {
            let reason = status["reload"]?["reason"]?.string ?? "the new program failed (see the log)"
            throw ControlClientError.refused(ForeignText("upgrade rolled back: " + reason.unescaped))
        }
        var text = "upgraded, generation \(generation)"
        if let programs = status["program"], let running = programs["running"] {
            text += ": \(ControlTable.summary(running))"
            let changes = (programs["changes"]?.array ?? []).compactMap { $0.string?.unescaped }
            if !changes.isEmpty { text += ". Changes: " + changes.joined(separator: "; ") }
        }
        return ForeignText(text)
    }

    /// If nil, the rollback is still in progress. During the probation the previous program comes back with its own
    /// workers. Later it is rolled in like any other program.
    static func rollbackOutcome(_ status: JSONValue, before: JSONValue) throws -> ForeignText? {
        guard status["supervisor"] == before["supervisor"] else {
            throw ControlClientError.refused("the supervisor has ended, and another one answers")
        }
        let state = status["reload"]?["state"]
        if state == .string("running") || state == .string("probation") { return nil }
        if status["phase"] != .string("running") { return nil }
        let wanted = before["program"]?["previous"]
        // A build ID is shown wherever there is one. The file may have been put back meanwhile.
        let mark = wanted?["buildID"]?.string == nil ? "stamp" : "buildID"
        guard let running = status["program"]?["running"], running[mark] == wanted?[mark],
            status["reload"]?["state"] != .string("aborted")
        else {
            let reason = status["reload"]?["reason"]?.string?.unescaped ?? "see the log"
            throw ControlClientError.refused(ForeignText("not rolled back: " + reason))
        }
        let generation = status["generation"]?.integer ?? 0
        return ForeignText("rolled back, generation \(generation): \(ControlTable.summary(running))")
    }
}
