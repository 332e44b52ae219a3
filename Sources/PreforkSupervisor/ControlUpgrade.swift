// An upgrade by the control socket, with its end: the connection does not outlive it, because the program is replaced.

package import PreforkSystem

extension ControlClient {
    /// Asks the supervisor to become a new program, and waits until that has rolled its workers in, or has not.
    ///
    /// - Parameters:
    ///   - path: another program; nil: what is at the present one's path by now.
    ///   - limit: the supervisor ends an upgrade by itself, after its boot timeout for each worker; this is the longest
    ///     time that a client waits for it.
    /// - Returns: what has been reached, for people.
    /// - Throws: `ControlClientError.refused` with the reason when the old program goes on; `SystemError` when no
    ///   supervisor answers.
    package static func upgrade(_ socket: String, to path: String?, within limit: Duration = .seconds(600)) throws
        -> ForeignText
    {
        let end = MonotonicInstant.now + limit
        let client = try ControlClient(socket)
        let before = try client.ask(.order("status"), until: end)["status"] ?? .null
        let members = path.map { [JSONValue.Member("path", .string(ForeignText($0)))] } ?? []
        do {
            let answer = try client.ask(.order("upgrade", members + [.init("wait", .bool(true))]), until: end)
            return answer["message"]?.string ?? "done"
        } catch ControlClientError.closedWithoutAnswer {
            return try outcome(socket, before: before, until: end)
        }
    }

    private static func outcome(
        _ socket: String, before: JSONValue, until end: MonotonicInstant
    ) throws -> ForeignText {
        while MonotonicInstant.now < end {
            _ = try Polling.waitUntilReadable([], until: .now + .milliseconds(100))
            guard let status = try? ControlClient(socket).ask(.order("status"), until: end)["status"] else { continue }
            if let outcome = try outcome(status, before: before) { return outcome }
        }
        throw ControlClientError.refused("the upgrade has come to no end within the time that was given it")
    }

    /// nil: it goes on.
    package static func outcome(_ status: JSONValue, before: JSONValue) throws -> ForeignText? {
        guard status["supervisor"] == before["supervisor"] else {
            throw ControlClientError.refused("the supervisor that was upgraded has ended; another one answers")
        }
        if status["reload"]?["state"] == .string("running") || status["phase"] != .string("running") { return nil }
        let generation = status["generation"]?.integer ?? 0
        // The new program's workers are the next generation, rolled in. When they fail the old program comes back:
        // without a reload of its own if all of its workers still serve, else with one more generation.
        guard generation == (before["generation"]?.integer ?? 0) + 1, status["reload"]?["state"] == .string("done")
        else {
            let reason = status["reload"]?["reason"]?.string ?? "the new program's workers did not come up; see the log"
            throw ControlClientError.refused(ForeignText("upgrade rolled back: " + reason.unescaped))
        }
        return ForeignText("upgraded, generation \(generation)")
    }
}
