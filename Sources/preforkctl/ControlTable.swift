// The supervisor's answers as tables for operators. Pure: the same text for the same answers.

import PreforkSupervisor
import PreforkSystem

/// A column of a table: its head, and what a row has in it.
struct ControlColumn: Sendable {
    var name: String
    var isText = false
    var value: @Sendable (JSONValue) -> String

    static let quarantine = [
        ControlColumn(name: "CRASHES") { plain($0["crashes"]) },
        ControlColumn(name: "REMAINING") { ControlTable.time($0["remaining"]) },
        ControlColumn(name: "LABEL", isText: true) { plain($0["label"]) },
    ]
    static let requests = [
        ControlColumn(name: "AGE") { ControlTable.time($0["age"]) },
        ControlColumn(name: "SLOT") { plain($0["slot"]) },
        ControlColumn(name: "PID") { plain($0["pid"]) },
        ControlColumn(name: "STATE", isText: true) { $0["executing"] == .bool(true) ? "executing" : "waiting" },
        ControlColumn(name: "TRACE", isText: true) { plain($0["trace"]) },
        ControlColumn(name: "PEER", isText: true) { plain($0["peer"]) },
        ControlColumn(name: "READ") { plain($0["bytesRead"]) },
        ControlColumn(name: "LABEL", isText: true) { plain($0["label"]) },
    ]
    static let listeners = [
        ControlColumn(name: "ADDRESS", isText: true) { plain($0["address"]) },
        ControlColumn(name: "WAITING") { plain($0["waiting"]) },
        ControlColumn(name: "LIMIT") { plain($0["limit"]) },
    ]
    static let settings = [
        ControlColumn(name: "NAME", isText: true) { plain($0["name"]) },
        ControlColumn(name: "VALUE", isText: true) { plain($0["value"]) },
    ]
    static let managed = [
        ControlColumn(name: "MANAGED", isText: true) { plain($0["name"]) },
        ControlColumn(name: "PID") { plain($0["pid"]) },
        ControlColumn(name: "GEN") { plain($0["generation"]) },
        ControlColumn(name: "STATE", isText: true) { plain($0["state"]) },
        ControlColumn(name: "RESTARTS") { plain($0["restarts"]) },
        ControlColumn(name: "LAST EXIT", isText: true) { $0["lastExit"].map(ControlTable.end) ?? "" },
    ]
    static let stores = [
        ControlColumn(name: "STORE", isText: true) { plain($0["name"]) },
        ControlColumn(name: "ENTRIES") { plain($0["entries"]) },
        ControlColumn(name: "LIMIT") { plain($0["entryLimit"]) },
        ControlColumn(name: "BYTES") { ControlTable.size($0["bytes"]) },
        ControlColumn(name: "LIMIT") { ControlTable.size($0["byteLimit"]) },
        ControlColumn(name: "EVICTED") { plain($0["evictions"]) },
        ControlColumn(name: "EXPIRED") { plain($0["expirations"]) },
        ControlColumn(name: "REFUSED") { plain($0["refusals"]) },
        ControlColumn(name: "REPAIRED") { plain($0["recoveries"]) },
        ControlColumn(name: "DAMAGES") { plain($0["damages"]) },
    ]
    static let queues = [
        ControlColumn(name: "QUEUE", isText: true) { plain($0["name"]) },
        ControlColumn(name: "READY") { plain($0["ready"]) },
        ControlColumn(name: "IN HAND") { plain($0["inFlight"]) },
        ControlColumn(name: "DEAD") { plain($0["deadLetters"]) },
        ControlColumn(name: "USED") { ControlTable.size($0["usedBytes"]) },
        ControlColumn(name: "CAPACITY") { ControlTable.size($0["capacity"]) },
        ControlColumn(name: "SENT/S") { plain($0["sentRate"]) },
        ControlColumn(name: "SENT") { plain($0["sent"]) },
        ControlColumn(name: "DONE") { plain($0["acknowledged"]) },
        ControlColumn(name: "AGAIN") { plain($0["redelivered"]) },
        ControlColumn(name: "DROPPED") { plain($0["dropped"]) },
        ControlColumn(name: "DAMAGES") { plain($0["damages"]) },
    ]
    static let channels = [
        ControlColumn(name: "CHANNEL", isText: true) { plain($0["name"]) },
        ControlColumn(name: "END", isText: true) { plain($0["end"]) },
        ControlColumn(name: "PID") { plain($0["pid"]) },
        ControlColumn(name: "GEN") { plain($0["generation"]) },
        ControlColumn(name: "STATE", isText: true) { plain($0["state"]) },
        ControlColumn(name: "WAITING") { plain($0["waiting"]) },
        ControlColumn(name: "BYTES") { plain($0["waitingBytes"]) },
        ControlColumn(name: "SENT/S") { plain($0["sentRate"]) },
        ControlColumn(name: "SENT") { plain($0["sent"]) },
    ]
    static let tasks = [
        ControlColumn(name: "TASK", isText: true) { plain($0["name"]) },
        ControlColumn(name: "SCHEDULE", isText: true) { plain($0["schedule"]) },
        ControlColumn(name: "STATE", isText: true) { plain($0["state"]) },
        ControlColumn(name: "RUN") { plain($0["run"]) },
        ControlColumn(name: "PID") { plain($0["pid"]) },
        ControlColumn(name: "SINCE") { ControlTable.time($0["runningFor"]) },
        ControlColumn(name: "NEXT IN") { ControlTable.time($0["nextIn"]) },
        ControlColumn(name: "DONE") { plain($0["done"]) },
        ControlColumn(name: "FAILED") { plain(ControlTable.sum($0, ["failed", "timedOut", "noLease"])) },
        ControlColumn(name: "KILLED") { plain($0["killed"]) },
        ControlColumn(name: "LEFT OUT") { plain(ControlTable.sum($0, ["coalesced", "skipped"])) },
        ControlColumn(name: "TOOK") { ControlTable.time($0["last"]?["duration"]) },
        ControlColumn(name: "LAST RUN", isText: true) { $0["last"].map(ControlTable.lastRun) ?? "" },
    ]
    static let workers = [
        ControlColumn(name: "SLOT") { plain($0["slot"]) + ($0["beside"] == .bool(true) ? "'" : "") },
        ControlColumn(name: "PID") { plain($0["pid"]) },
        ControlColumn(name: "GEN") { plain($0["generation"]) },
        ControlColumn(name: "STATE", isText: true) { plain($0["state"]) },
        ControlColumn(name: "UPTIME") { ControlTable.time($0["uptime"]) },
        ControlColumn(name: "REQ/S") { plain($0["requestRate"]) },
        ControlColumn(name: "REQUESTS") { plain($0["requests"]) },
        ControlColumn(name: "CONNS") { plain($0["connections"]) },
        ControlColumn(name: "RSS") { ControlTable.size($0["rss"]) },
        ControlColumn(name: "PSS") { ControlTable.size($0["pss"]) },
        ControlColumn(name: "SHARED") { ControlTable.size($0["shared"]) },
        ControlColumn(name: "PRIVATE") { ControlTable.size($0["private"]) },
        ControlColumn(name: "CPU%") { plain($0["cpuShare"]) },
        ControlColumn(name: "CPU") { ControlTable.time($0["cpu"]) },
        ControlColumn(name: "RESTARTS") { plain($0["restarts"]) },
        ControlColumn(name: "LAST EXIT", isText: true) { $0["lastExit"].map(ControlTable.end) ?? "" },
    ]

    private static func plain(_ value: JSONValue?) -> String {
        switch value {
        case .string(let text): text.escaped(for: .terminal)
        case .integer(let number): "\(number)"
        case .number(let number): "\(ControlTable.tenths(number))"
        default: "-"
        }
    }
}

enum ControlTable {
    /// The pool and its workers.
    ///
    /// - Parameters:
    ///   - before: an earlier status, for rates. If null, there are no rates.
    ///   - paint: colours words of state, or leaves them.
    static func status(
        _ status: JSONValue, before: JSONValue = .null, paint: (String) -> String = { $0 }
    ) -> String {
        func part(_ name: String) -> String { status[name]?.integer.map(String.init) ?? "-" }
        let phase = (status["phase"]?.string ?? "?").escaped(for: .terminal)
        var head = "supervisor \(part("supervisor")), \(paint(phase)), up \(time(status["uptime"])), "
        let spares = status["spares"]?.integer ?? 0
        head += "\(part("ready"))/\(part("target")) ready\(spares > 0 ? ", \(spares) spare" : ""), generation \(part("generation")), "
        head += "\(part("restarts"))/\(part("restartLimit")) restarts"
        if let crashes = status["requestCrashes"]?.integer, crashes > 0 { head += ", \(crashes) crashes in a request" }
        if let count = status["programTarget"]?.integer { head += ", scaled (the program says \(count) workers)" }
        head += "\n" + program(status["program"])
        if let reload = status["reload"], let state = reload["state"]?.string?.escaped(for: .terminal) {
            func number(_ name: String) -> Int64 { reload[name]?.integer ?? 0 }
            head += "reload to generation \(number("generation")): \(paint(state)), "
            head += "\(number("replaced"))/\(number("total")) in \(time(reload["duration"]))"
            head += reload["reason"]?.string.map { ": " + $0.escaped(for: .terminal) } ?? ""
            head += "\n"
        }
        let workers = withRates(status["workers"]?.array ?? [], before["workers"]?.array ?? [])
        let span = (status["uptime"]?.double ?? 0) - (before["uptime"]?.double ?? .infinity)
        func part(_ key: String, _ columns: [ControlColumn], by names: [String] = []) -> String {
            let list = status[key]?.array ?? []
            let rated = names.isEmpty ? list : withSendRates(list, before[key]?.array ?? [], span, by: names)
            return list.isEmpty ? "" : "\n" + rows(rated, columns, paint: paint)
        }
        return head + rows(workers, ControlColumn.workers, paint: paint)
            + part("managed", ControlColumn.managed)
            + part("tasks", ControlColumn.tasks)
            + part("queues", ControlColumn.queues, by: ["name"])
            + part("channels", ControlColumn.channels, by: ["name", "end"])
            + part("stores", ControlColumn.stores)
    }

    /// Messages a second that went into a queue or a channel's end since the earlier status, `span` seconds ago.
    private static func withSendRates(
        _ now: [JSONValue], _ before: [JSONValue], _ span: Double, by names: [String]
    ) -> [JSONValue] {
        func key(_ row: JSONValue) -> [JSONValue?] { names.map { row[$0] } }
        return now.map { row in
            guard span > 0, case .object(let members) = row, let sent = row["sent"]?.double,
                let old = before.first(where: { key($0) == key(row) })?["sent"]?.double, sent >= old
            else { return row }
            return .object(members + [.init("sentRate", .number((sent - old) / span))])
        }
    }

    /// Lines on the program that runs. Empty if the status does not say.
    private static func program(_ programs: JSONValue?) -> String {
        guard let running = programs?["running"], let path = running["path"]?.string else { return "" }
        var text = "program \(summary(running))"
        if let next = programs?["upgradePath"]?.string, next != path {
            text += "; upgrade starts \(next.escaped(for: .terminal))"
        }
        return text + "\n"
    }

    /// A program as in `ProgramFile.summary`.
    static func summary(_ program: JSONValue) -> String {
        func text(_ name: String) -> String? { program[name]?.string?.escaped(for: .terminal) }
        let path = text("path") ?? "?"
        let file = text("file").flatMap { $0 == path ? nil : " -> \($0)" } ?? ""
        let build = text("buildID").map { "build \($0.prefix(12))" } ?? "no build ID"
        return "\(path)\(file) (\(build), \(text("time") ?? "-"))"
    }

    private static func withRates(_ workers: [JSONValue], _ before: [JSONValue]) -> [JSONValue] {
        var old: [Int64: JSONValue] = [:]
        for worker in before { if let pid = worker["pid"]?.integer { old[pid] = worker } }
        return workers.map { worker in
            guard case .object(let members) = worker, let pid = worker["pid"]?.integer, let then = old[pid] else {
                return worker
            }
            func change(_ name: String) -> Double? {
                guard let new = worker[name]?.double, let old = then[name]?.double else { return nil }
                return new - old
            }
            guard let span = change("uptime"), span > 0 else { return worker }
            let requests = change("requests").map { JSONValue.number($0 / span) } ?? .null
            let cpu = change("cpu").map { JSONValue.number(100 * $0 / span) } ?? .null
            return .object(members + [.init("requestRate", requests), .init("cpuShare", cpu)])
        }
    }

    static func rows(
        _ rows: [JSONValue], _ columns: [ControlColumn], paint: (String) -> String = { $0 }
    ) -> String {
        let cells = [columns.map(\.name)] + rows.map { row in columns.map { $0.value(row) } }
        let widths = columns.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            // The last column's empty cell leaves no spaces behind.
            let line = columns.indices.dropLast(row.last == "" ? 1 : 0).map { column in
                let gap = String(repeating: " ", count: widths[column] - row[column].count)
                guard columns[column].isText else { return gap + row[column] }
                // Without spaces at the end of a line.
                return paint(row[column]) + (column == columns.indices.last ? "" : gap)
            }
            return line.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    static func sum(_ value: JSONValue, _ names: [String]) -> JSONValue {
        .integer(names.reduce(0) { $0 &+ (value[$1]?.integer ?? 0) })
    }

    /// How the last run of a once-task ended, and when.
    static func lastRun(_ last: JSONValue) -> String {
        guard let result = last["result"]?.string, let run = last["run"]?.integer else { return "" }
        let end = (last["ended"]?.string ?? "").escaped(for: .terminal)
        let status = result.unescaped == "failed" ? (last["status"]?.string).map { ", " + $0.escaped(for: .terminal) } : nil
        return "\(run): \(result.escaped(for: .terminal))\(status ?? "") at \(end)"
    }

    static func end(_ report: JSONValue) -> String {
        guard let status = report["status"]?.string else { return "" }
        var text = status.escaped(for: .terminal)
        if report["outOfMemory"] == .bool(true) { text += ", out of memory" }
        if let reason = report["killReason"]?.string { text += ", " + reason.escaped(for: .terminal) }
        if report["wasReady"] == .bool(false) { text += ", before it was ready" }
        return text
    }

    /// What a worker had in hand when it ended: what was executing, or else the oldest, and how many others.
    static func requests(of report: JSONValue) -> String {
        let requests = report["requests"]?.array ?? []
        let count = max(report["requestCount"]?.integer ?? 0, Int64(requests.count))
        guard let first = requests.first else { return count > 0 ? "\(count) in flight" : "-" }
        let label = first["label"]?.string ?? first["peer"]?.string ?? "?"
        let state = first["executing"] == .bool(true) ? "" : ", waiting"
        let others = count > 1 ? " and \(count - 1) more" : ""
        return "\(label.escaped(for: .terminal)) (\(time(first["age"]))\(state))\(others)"
    }

    static func size(_ value: JSONValue?) -> String {
        guard let bytes = value?.double else { return "-" }
        return bytes < 100 * 1_048_576 ? "\(tenths(bytes / 1_048_576))M" : "\(whole(bytes / 1_048_576))M"
    }

    static func time(_ value: JSONValue?) -> String {
        guard let seconds = value?.double else { return "-" }
        if seconds < 100 { return "\(tenths(seconds))s" }
        let minutes = whole(seconds) / 60
        if minutes < 100 { return "\(minutes)m\(whole(seconds) % 60)s" }
        return minutes < 2880 ? "\(minutes / 60)h\(minutes % 60)m" : "\(minutes / 1440)d\(minutes / 60 % 24)h"
    }

    /// A peer's number, without its fraction. A number beyond all integers becomes the greatest or the least one.
    private static func whole(_ number: Double) -> Int {
        Int(exactly: number.rounded(.towardZero)) ?? (number > 0 ? .max : number < 0 ? .min : 0)
    }

    static func tenths(_ number: Double) -> Double { Double(whole(number * 10)) / 10 }
}
