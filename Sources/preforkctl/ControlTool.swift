// One invocation: from words to an action, from the answer to text and an exit code.

import PreforkSupervisor
import PreforkSystem

enum ExitCode: Int32 {
    case done = 0
    /// Refused by the supervisor, or begun and failed.
    case failed = 1
    /// EX_USAGE of sysexits.h.
    case usage = 64
    /// EX_UNAVAILABLE: no supervisor answers there.
    case unavailable = 69
    /// EX_IOERR: the output cannot be written.
    case output = 74
}

enum ControlTool {
    static func run(_ arguments: [String]) -> ExitCode {
        do {
            return try perform(arguments)
        } catch let error as ToolUsageError {
            Output.complain(error.text, "Try 'preforkctl --help'.")
            return .usage
        } catch ControlClientError.refused(let reason) {
            Output.complain(reason.escaped(for: .terminal))
            return .failed
        } catch {
            Output.complain("\(error)")
            return .unavailable
        }
    }

    private static func perform(_ arguments: [String]) throws -> ExitCode {
        var words = ArgumentScanner(arguments)
        let given = try words.value("--socket") ?? CurrentProcess.environment("PREFORK_CONTROL")
        if words.flag("--help") || words.flag("-h") || arguments.isEmpty {
            Output.write(Help.text)
            return .done
        }
        let name = try words.next("a command")
        if name == "completion" {
            Output.write(try Completion.script(try words.next("bash, zsh or fish")))
            return .done
        }
        guard let command = (Command.watching + Command.controlling).first(where: { $0.name == name }) else {
            throw ToolUsageError("unknown command '\(Escaping.brief(name))'")
        }
        var watch: SourceWatch?
        if case .watch = command.show { watch = try SourceWatch(&words) }
        var members: [JSONValue.Member] = []
        for part in command.parts { if let member = try part.read(&words) { members.append(member) } }
        try words.finish()
        guard let socket = given, !socket.isEmpty else {
            throw ToolUsageError("where is the supervisor? Give --socket PATH or set PREFORK_CONTROL")
        }
        try watch?.run(socket) { Output.write(ForeignText("preforkctl: \($0)").escaped(for: .terminal)) }
        if case .profile = command.show { return try ProfileTool.run(members, by: try connect(socket)) }
        try ask(socket, name, members, command.show)
        return .done
    }

    private static func ask(
        _ socket: String, _ name: String, _ members: [JSONValue.Member], _ show: Command.Show
    ) throws {
        let isJSON = members.contains { $0.name == "json" }
        let isWaiting = members.contains { $0.name == "wait" }
        func answer() throws -> JSONValue {
            try ControlClient.ask(.order(name, members.filter { !["json", "memory"].contains($0.name) })) { try connect(socket) }
        }
        let wantsMemory = members.contains { $0.name == "memory" }
        func withMemory(_ status: JSONValue) throws -> JSONValue {
            var memory = WorkerMemory()
            return memory.added(to: status, supervisor: try connect(socket).peer())
        }
        func json(_ key: String) throws -> String { String(decoding: (try answer()[key] ?? .null).text, as: UTF8.self) }
        switch show {
        case .top: try showStatus(socket, every: .seconds(1), times: .max)
        case .status where !isJSON: try showStatus(socket, every: .milliseconds(300), times: 2)
        case .crashes:
            let reports = CrashNames.adding(to: try answer()["crashes"]?.array ?? [])
            let json = String(decoding: JSONValue.array(reports).text, as: UTF8.self)
            Output.write(isJSON ? json : CrashPage.text(reports, paint: Output.coloured))
        case .status:
            let status = try answer()["status"] ?? .null
            Output.write(String(decoding: (wantsMemory ? try withMemory(status) : status).text, as: UTF8.self))
        case .rows(let key, _) where isJSON: Output.write(try json(key))
        case .rows(let key, let columns):
            let answer = try answer()
            Output.write(ControlTable.rows(answer[key]?.array ?? [], columns, paint: Output.coloured))
            if let count = answer["leftOut"]?.integer, count > 0 { Output.write("... and \(count) more") }
        case .text("metrics") where wantsMemory:
            let text = (try answer()["metrics"]?.string ?? "").escaped(for: .terminalPage)
            let status = try ControlClient.ask(.order("status")) { try connect(socket) }["status"] ?? .null
            Output.write(text + WorkerMemory.metrics(of: try withMemory(status)), end: "")
        case .text(let key): Output.write((try answer()[key]?.string ?? "").escaped(for: .terminalPage), end: "")
        case .upgrade where isWaiting:
            // Names the user who answers. The upgrade has its own connections.
            _ = try connect(socket)
            let path = members.first { $0.name == "path" }?.value.string?.unescaped
            let keeps = members.contains { $0.name == "keep" }
            Output.write(try ControlClient.upgrade(socket, to: path, keeps: keeps).escaped(for: .terminal))
        case .rollback where isWaiting:
            _ = try connect(socket)
            Output.write(try ControlClient.rollback(socket).escaped(for: .terminal))
        case .quarantine:
            let answer = try answer()
            if isJSON { return Output.write(String(decoding: (answer["quarantine"] ?? answer).text, as: UTF8.self)) }
            guard let list = answer["quarantine"]?.array else {
                Output.write((answer["message"]?.string ?? "done").escaped(for: .terminal))
                // A URL from a browser would refuse nothing, and nothing would say so.
                let hasQuery = members.contains {
                    $0.name == "label" && $0.value.string?.unescaped.contains("?") == true
                }
                let note = "labels have no query, unless the program marks requests with .includesQuery"
                if hasQuery { Output.write(note) }
                return
            }
            Output.write(ControlTable.rows(list, ControlColumn.quarantine, paint: Output.coloured))
        case .stop:
            let client = try connect(socket)
            let text = try client.stop(.order(name, members), andWaits: isWaiting)
            Output.write(text.escaped(for: .terminal))
        case .message, .upgrade, .rollback, .watch, .profile:
            Output.write((try answer()["message"]?.string ?? "done").escaped(for: .terminal))
        }
    }

    /// Names the user who answers, if the socket is neither root's nor the caller's: any user may make a socket at a
    /// path that was guessed or left.
    private static func connect(_ socket: String) throws -> ControlClient {
        let client = try ControlClient(socket)
        if let user = client.stranger {
            let place = ForeignText(socket).escaped(for: .terminal)
            Output.complain("the supervisor at \(place) runs as user \(user), neither as root nor as you")
        }
        return client
    }

    /// The status. For `top`, again and again, until the operator or the supervisor ends it. Rates need two samples.
    private static func showStatus(_ socket: String, every interval: Duration, times: Int) throws {
        let client = try connect(socket)
        let supervisor = try client.peer()
        var memory = WorkerMemory()
        var before = JSONValue.null
        for time in 1...times {
            var status = try client.ask(.order("status"))["status"] ?? .null
            // Not for a sample that only rates are made of.
            if times == .max || time == times { status = memory.added(to: status, supervisor: supervisor) }
            let screen = ControlTable.status(status, before: before, paint: Output.coloured)
            if times == .max {
                Output.write(Output.isTerminal ? "\u{1B}[H\u{1B}[J" + screen : screen + "\n")
            } else if time == times {
                return Output.write(screen)
            }
            before = status
            _ = try Polling.waitUntilReadable([], until: .now + interval)
        }
    }
}
