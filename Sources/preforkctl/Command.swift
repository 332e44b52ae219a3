// Every command, in one table: its words, its help, and what becomes of the answer.

import PreforkSupervisor
import PreforkSystem

struct Command: Sendable {
    enum Show: Sendable {
        case message
        case text(String)
        case rows(String, [ControlColumn])
        case status, top, crashes, upgrade, rollback, watch, quarantine, stop, profile
    }

    /// What may follow the command's name, and the members of a request that it becomes.
    struct Part: Sendable {
        var synopsis: String
        var read: @Sendable (inout ArgumentScanner) throws(ToolUsageError) -> JSONValue.Member?

        static func flag(_ name: String) -> Part {
            Part(synopsis: "[--\(name)]") { $0.flag("--\(name)") ? .init(name, .bool(true)) : nil }
        }

        static let slot = Part(synopsis: "SLOT") { words throws(ToolUsageError) in
            let word = try words.next("SLOT")
            if let number = Int64(word), number >= 0 { return .init("slot", .integer(number)) }
            throw ToolUsageError("SLOT is a number, not '\(Escaping.brief(word))'")
        }
        /// A worker's slot, or the name of a managed process.
        static let place = Part(synopsis: "SLOT|NAME") { words throws(ToolUsageError) in
            let word = try words.next("SLOT or NAME")
            if let number = Int64(word), number >= 0 { return .init("slot", .integer(number)) }
            // Neither a misspelt option nor an invalid number.
            if word.isEmpty || word.hasPrefix("-") || word.utf8.allSatisfy({ (48...57).contains($0) }) {
                throw ToolUsageError("SLOT is a number, not '\(Escaping.brief(word))'")
            }
            return .init("name", .string(ForeignText(word)))
        }
        /// The name of a once-task.
        static let task = Part(synopsis: "TASK") { words throws(ToolUsageError) in
            let word = try words.next("TASK")
            if word.isEmpty || word.hasPrefix("-") {
                throw ToolUsageError("TASK is a once-task's name, not '\(Escaping.brief(word))'")
            }
            return .init("name", .string(ForeignText(word)))
        }
        static let count = Part(synopsis: "N|+N|-N") { words throws(ToolUsageError) in
            let word = try words.next("N, +N or -N")
            guard let number = Int64(word) else { throw ToolUsageError("'\(Escaping.brief(word))' is not N, +N or -N") }
            return .init(word.hasPrefix("+") || word.hasPrefix("-") ? "by" : "to", .integer(number))
        }
        static let action = Part(synopsis: "list|add LABEL|remove LABEL") { words throws(ToolUsageError) in
            let word = try words.next("list, add or remove")
            guard ["list", "add", "remove"].contains(word) else {
                throw ToolUsageError("'\(Escaping.brief(word))' is not list, add or remove")
            }
            if word != "list", words.isEmpty { throw ToolUsageError("LABEL is missing") }
            return .init("action", .string(ForeignText(word)))
        }
        /// After `add` and `remove`.
        static let label = Part(synopsis: "") { words throws(ToolUsageError) in
            words.isEmpty ? nil : .init("label", .string(ForeignText(try words.next("LABEL"))))
        }
        static func number(_ name: String, _ range: ClosedRange<Int>) -> Part {
            Part(synopsis: "[--\(name) N]") { words throws(ToolUsageError) in
                guard let word = try words.value("--\(name)") else { return nil }
                guard let number = Int64(word), range.contains(Int(clamping: number)) else {
                    throw ToolUsageError(
                        "--\(name) is \(range.lowerBound) to \(range.upperBound), not '\(Escaping.brief(word))'")
                }
                return .init(name, .integer(number))
            }
        }
        static let output = Part(synopsis: "[--output NAME]") { words throws(ToolUsageError) in
            guard let name = try words.value("--output") else { return nil }
            if name.isEmpty || name.hasSuffix("/") || name.utf8.contains(0) {
                throw ToolUsageError("--output is the files' name without its ending")
            }
            return .init("output", .string(ForeignText(name)))
        }
        /// A worker's slot, if one is given.
        static let anySlot = Part(synopsis: "[SLOT]") { words throws(ToolUsageError) in
            try words.isEmpty ? nil : slot.read(&words)
        }
        static let program = Part(synopsis: "[--exec PATH]") { words throws(ToolUsageError) in
            try words.value("--exec").map { .init("path", .string(ForeignText($0))) }
        }
        /// After `--exec`.
        static let keep = Part(synopsis: "[--keep]") { $0.flag("--keep") ? .init("keep", .bool(true)) : nil }
    }

    var name: String
    var parts: [Part] = []
    var show = Show.message
    var meaning: String

    static let watching = [
        Command(
            name: "status", parts: [.flag("json"), .flag("memory")], show: .status,
            meaning: "the pool and its workers, with rates measured over 0.3 s. --memory: shared and private memory in JSON"),
        Command(name: "top", show: .top, meaning: "the same, updated every second"),
        list("workers", .rows("workers", ControlColumn.workers), "each worker"),
        list(
            "listeners", .rows("listeners", ControlColumn.listeners),
            "each listener, with its number of waiting connections"),
        list("queues", .rows("queues", ControlColumn.queues), "each work queue that the supervisor's process has made"),
        list("channels", .rows("channels", ControlColumn.channels), "both ends of each channel"),
        list("stores", .rows("stores", ControlColumn.stores), "each shared store"),
        list("tasks", .rows("tasks", ControlColumn.tasks), "each once-task: its last, present and next run"),
        list("config", .rows("settings", ControlColumn.settings), "all effective settings"),
        list("requests", .rows("requests", ControlColumn.requests), "requests in progress, oldest first"),
        list("crashes", .crashes, "the last 100 exits of workers, clean ones too, newest last, with their last output"),
        Command(
            name: "profile",
            parts: [
                .number("seconds", ProfileLanes.seconds), .number("rate", ProfileLanes.rates), .output, .anySlot,
            ], show: .profile,
            meaning: "sample the stacks of workers (10 s, 99 Hz) and write NAME.folded and NAME.svg, a flame graph"),
        Command(
            name: "metrics", parts: [.flag("memory")], show: .text("metrics"),
            meaning: "metrics in Prometheus text format. --memory: those of shared and private memory, too"),
    ]
    static let controlling = [
        order("reload", .flag("wait"), meaning: "replace all workers. If a new one fails, the old ones stay"),
        order("scale", .flag("wait"), .count, meaning: "set the number of workers"),
        order(
            "restart", .flag("wait"), .place,
            meaning: "replace one worker once its successor is ready, or restart a managed process"),
        order("run", .flag("wait"), .task, meaning: "have a once-task run now. Refused while a run of it is going"),
        order(
            "drain", .flag("wait"), .slot, meaning: "let one worker finish its work and end, then start its successor"),
        order("kill", .flag("wait"), .slot, meaning: "send SIGKILL to a worker. It is restarted as after any crash"),
        Command(
            name: "upgrade", parts: [.flag("wait"), .program, .keep], show: .upgrade,
            meaning: "run the program's new version, or another one (--keep: from now on), under the same PID"),
        Command(
            name: "rollback", parts: [.flag("wait")], show: .rollback,
            meaning: "return to the previous program"),
        Command(
            name: "quarantine", parts: [.flag("json"), .flag("wait"), .action, .label], show: .quarantine,
            meaning: "list or change the labels of requests that are refused because they crash workers"),
        order("rebalance", .flag("wait"), meaning: "move connections from workers with many to workers with few"),
        order("reopen-logs", .flag("wait"), meaning: "reopen log files after they were moved"),
        Command(
            name: "stop", parts: [.flag("wait"), .flag("quick")], show: .stop,
            meaning: "end the pool. Requests are finished, or dropped with --quick"),
        Command(name: "watch", show: .watch, meaning: "developer mode: build after each change and upgrade, see below"),
    ]

    private static func list(_ name: String, _ show: Show, _ meaning: String) -> Command {
        Command(name: name, parts: [.flag("json")], show: show, meaning: meaning)
    }

    private static func order(_ name: String, _ parts: Part..., meaning: String) -> Command {
        Command(name: name, parts: parts, meaning: meaning)
    }
}
