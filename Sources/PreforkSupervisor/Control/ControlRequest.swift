// A request on the control socket, parsed from one line.

import PreforkSystem

/// One request, read from its JSON object.
enum ControlRequest: Equatable {
    /// `detailed` is accepted and changes nothing: tools read proportional sizes by themselves.
    case status(detailed: Bool)
    case workers
    case listeners
    case stores
    case queues
    case channels
    case requests
    case quarantine
    case config
    case crashes
    case tasks
    case metrics
    case profile(ProfileRequest)
    case perform(ControlCommand, wait: Bool)
}

/// Why a line is no request, in the words of the answer.
struct ControlRequestError: Error, Equatable {
    var text: String

    init(_ text: String) {
        self.text = text
    }
}

extension ControlRequest {
    /// Reads one line, without its line feed.
    ///
    /// A member that the command does not know is refused: an order that is half understood is worse than a refusal.
    init(line: [UInt8]) throws(ControlRequestError) {
        let value: JSONValue
        do {
            value = try JSONParser.parse(line)
        } catch {
            throw ControlRequestError("no JSON: \(error)")
        }
        guard case .object(let members) = value else { throw ControlRequestError("a request is a JSON object") }
        guard let command = value["command"]?.string?.unescaped else {
            throw ControlRequestError("\"command\" is missing")
        }
        var arguments = Arguments(command: command, rest: members.filter { $0.name != "command" })
        self = try Self.read(command, &arguments)
        try arguments.finish()
    }

    private static func read(
        _ command: String, _ arguments: inout Arguments
    ) throws(ControlRequestError) -> ControlRequest {
        switch command {
        case "status": .status(detailed: try arguments.flag("detailed"))
        case "workers": .workers
        case "stores": .stores
        case "queues": .queues
        case "channels": .channels
        case "listeners": .listeners
        case "requests": .requests
        case "quarantine": try arguments.quarantine()
        case "config": .config
        case "crashes": .crashes
        case "profile": .profile(try arguments.profile())
        case "tasks": .tasks
        case "metrics": .metrics
        case "reload": .perform(.reload, wait: try arguments.flag("wait"))
        case "scale": .perform(.scale(try arguments.scale()), wait: try arguments.flag("wait"))
        case "run": .perform(.runTask(name: try arguments.name()), wait: try arguments.flag("wait"))
        case "restart": .perform(try arguments.restart(), wait: try arguments.flag("wait"))
        case "kill": .perform(.kill(slot: try arguments.slot()), wait: try arguments.flag("wait"))
        case "drain": .perform(.drain(slot: try arguments.slot()), wait: try arguments.flag("wait"))
        case "upgrade": .perform(try arguments.upgrade(), wait: try arguments.flag("wait"))
        case "rollback": .perform(.rollback, wait: try arguments.flag("wait"))
        case "rebalance": .perform(.rebalance, wait: try arguments.flag("wait"))
        case "reopen-logs": .perform(.reopenLogs, wait: try arguments.flag("wait"))
        // The answer says that the stop has begun. At its end the supervisor's process ends, and with it the
        // connection.
        case "stop": try arguments.stop()
        default: throw ControlRequestError("unknown command \"\(command.prefix(40))\"")
        }
    }

    /// The members besides the command. Reading one takes it out.
    private struct Arguments {
        let command: String
        var rest: [JSONValue.Member]

        mutating func take(_ name: String) -> JSONValue? {
            guard let index = rest.firstIndex(where: { $0.name == name }) else { return nil }
            return rest.remove(at: index).value
        }

        mutating func flag(_ name: String) throws(ControlRequestError) -> Bool {
            guard let value = take(name) else { return false }
            guard let flag = value.bool else { throw ControlRequestError("\"\(name)\" is true or false") }
            return flag
        }

        /// The supervisor refuses a count that no pool can have. A count beyond Int32 is refused here.
        mutating func integer(_ name: String) throws(ControlRequestError) -> Int? {
            guard let value = take(name) else { return nil }
            guard let number = value.integer, let small = Int32(exactly: number) else {
                throw ControlRequestError("\"\(name)\" is a whole number of at most \(Int32.max)")
            }
            return Int(small)
        }

        mutating func slot() throws(ControlRequestError) -> Int {
            guard let slot = try integer("slot") else { throw ControlRequestError("\(command) needs \"slot\"") }
            guard slot >= 0 else { throw ControlRequestError("\"slot\" is 0 or more") }
            return slot
        }

        /// A worker's `slot`, or the `name` of a managed process.
        mutating func restart() throws(ControlRequestError) -> ControlCommand {
            guard let value = take("name") else { return .restart(slot: try slot()) }
            guard let name = value.string?.unescaped, !name.isEmpty else {
                throw ControlRequestError("\"name\" is that of a managed process")
            }
            return .restartManaged(name: name)
        }

        /// Of a once-task.
        mutating func name() throws(ControlRequestError) -> String {
            guard let name = take("name")?.string?.unescaped, !name.isEmpty else {
                throw ControlRequestError("\"name\" is that of a once-task")
            }
            return name
        }

        mutating func stop() throws(ControlRequestError) -> ControlRequest {
            _ = try flag("wait")
            return .perform(.stop(quick: try flag("quick")), wait: false)
        }

        mutating func scale() throws(ControlRequestError) -> ScaleChange {
            switch (try integer("to"), try integer("by")) {
            case (let count?, nil) where count >= 0: return .to(count)
            case (nil, let change?): return .by(change)
            case (_?, nil): throw ControlRequestError("\"to\" is 0 or more")
            default: throw ControlRequestError("scale needs either \"to\" or \"by\"")
            }
        }

        mutating func upgrade() throws(ControlRequestError) -> ControlCommand {
            let path = try path()
            let keeps = try flag("keep")
            if keeps, path == nil { throw ControlRequestError("\"keep\" needs \"path\"") }
            return .upgrade(path: path, keeps: keeps)
        }

        mutating func path() throws(ControlRequestError) -> String? {
            guard let value = take("path"), value != .null else { return nil }
            guard let path = value.string?.unescaped, path.hasPrefix("/"), !path.utf8.contains(0) else {
                throw ControlRequestError("\"path\" is an absolute path")
            }
            return path
        }

        /// `action` is `list`, or `add` or `remove` with a `label`.
        mutating func quarantine() throws(ControlRequestError) -> ControlRequest {
            let action = take("action")?.string?.unescaped ?? "list"
            let wait = try flag("wait")
            if action == "list" { return .quarantine }
            guard let label = take("label")?.string?.unescaped, !label.isEmpty else {
                throw ControlRequestError("\"label\" is missing or empty")
            }
            switch action {
            case "add": return .perform(.quarantine(label: label), wait: wait)
            case "remove": return .perform(.release(label: label), wait: wait)
            default: throw ControlRequestError("\"action\" is list, add or remove")
            }
        }

        /// `seconds` and `rate` begin a profile. `collect` and `end` go on with it, by its number.
        mutating func profile() throws(ControlRequestError) -> ProfileRequest {
            for (name, step) in [("collect", ProfileRequest.collect), ("end", ProfileRequest.end)] {
                guard let value = take(name) else { continue }
                guard let number = value.integer else { throw ControlRequestError("\"\(name)\" is a profile's number") }
                return step(number)
            }
            let slot = try integer("slot")
            if let slot, slot < 0 { throw ControlRequestError("\"slot\" is 0 or more") }
            return .begin(
                ProfileOrder(
                    seconds: try integer("seconds", ProfileLanes.seconds) ?? 10,
                    rate: try integer("rate", ProfileLanes.rates) ?? 99, slot: slot))
        }

        private mutating func integer(
            _ name: String, _ range: ClosedRange<Int>
        ) throws(ControlRequestError) -> Int? {
            guard let number = try integer(name) else { return nil }
            guard range.contains(number) else {
                throw ControlRequestError("\"\(name)\" is \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }

        func finish() throws(ControlRequestError) {
            guard let unknown = rest.first else { return }
            throw ControlRequestError("\(command) knows no \"\(unknown.name.prefix(40))\"")
        }
    }
}
