// The command line as an order.

import PreforkSupervisor

struct UsageError: Error {
    var text: String
}

struct Order {
    enum Show {
        case message
        case text(String)
        case json(String)
        case rows(String, [ControlColumn])
    }

    enum Action {
        case print(String)
        case status
        case top
        case request(JSONValue, Show)
    }

    var socket = ""
    var action: Action

    init(_ arguments: [String], environment: String?) throws(UsageError) {
        var words = Words(arguments)
        let socket = try words.value("--socket") ?? environment
        if words.flag("--help") || words.flag("-h") || arguments.isEmpty {
            action = .print(Help.text)
            return
        }
        let command = try words.next("a command")
        if command == "completion" {
            action = .print(try Completion.script(try words.next("bash, zsh or fish")))
            try words.finish()
            return
        }
        action = try Self.action(command, &words)
        try words.finish()
        guard let socket, !socket.isEmpty else {
            throw UsageError(text: "where is the supervisor? Give --socket PATH or set PREFORK_CONTROL")
        }
        self.socket = socket
    }

    private static func action(_ command: String, _ words: inout Words) throws(UsageError) -> Action {
        let json = words.flag("--json")
        func list(_ name: String, _ columns: [ControlColumn]) -> Action {
            .request(.order(command), json ? .json(name) : .rows(name, columns))
        }
        func order(_ members: [JSONValue.Member] = []) -> Action { .request(.order(command, members), .message) }
        func wait() -> [JSONValue.Member] { words.flag("--wait") ? [.init("wait", .bool(true))] : [] }
        switch command {
        case "status": return json ? .request(.order(command), .json("status")) : .status
        case "top": return .top
        case "workers": return list("workers", ControlColumn.workers)
        case "listeners": return list("listeners", ControlColumn.listeners)
        case "config": return list("settings", ControlColumn.settings)
        case "crashes": return list("crashes", ControlColumn.crashes)
        case "metrics": return .request(.order(command), .text("metrics"))
        case "reload": return order(wait())
        case "scale": return order(wait() + [try scale(try words.next("N, +N or -N"))])
        case "restart", "drain": return order(wait() + [.init("slot", .integer(try words.number("SLOT")))])
        case "kill": return order([.init("slot", .integer(try words.number("SLOT")))])
        case "upgrade":
            let path = try words.value("--exec").map { JSONValue.Member("path", .string($0)) }
            return order(wait() + (path.map { [$0] } ?? []))
        case "reopen-logs": return order()
        case "stop": return order(words.flag("--quick") ? [.init("quick", .bool(true))] : [])
        default: throw UsageError(text: "unknown command '\(command)'")
        }
    }

    private static func scale(_ word: String) throws(UsageError) -> JSONValue.Member {
        guard let number = Int64(word) else { throw UsageError(text: "'\(word)' is not N, +N or -N") }
        return .init(word.hasPrefix("+") || word.hasPrefix("-") ? "by" : "to", .integer(number))
    }
}

/// Words of a command line; those that were understood are taken out.
struct Words {
    private var words: [String]

    init(_ words: [String]) {
        self.words = words
    }

    mutating func flag(_ name: String) -> Bool {
        guard let index = words.firstIndex(of: name) else { return false }
        words.remove(at: index)
        return true
    }

    mutating func value(_ name: String) throws(UsageError) -> String? {
        guard let index = words.firstIndex(where: { $0 == name || $0.hasPrefix(name + "=") }) else { return nil }
        let word = words.remove(at: index)
        if word != name { return String(word.dropFirst(name.count + 1)) }
        guard index < words.count else { throw UsageError(text: "\(name) needs a value") }
        return words.remove(at: index)
    }

    mutating func next(_ what: String) throws(UsageError) -> String {
        if words.isEmpty { throw UsageError(text: "\(what) is missing") }
        return words.removeFirst()
    }

    mutating func number(_ what: String) throws(UsageError) -> Int64 {
        let word = try next(what)
        if let number = Int64(word), number >= 0 { return number }
        throw UsageError(text: "\(what) is a number, not '\(word)'")
    }

    func finish() throws(UsageError) {
        if let word = words.first { throw UsageError(text: "'\(word)' is not understood here") }
    }
}
