// The ends of workers, for an operator who was just woken up.

import PreforkSupervisor
import PreforkSystem

/// `preforkctl crashes`. Pure: the same text for the same answer of the supervisor's.
///
/// A crash has a paragraph: when, which worker, how it ended in words, what it said. Other ends have a line each. The
/// latest end is the last one, next to the prompt. Every text of the answer is escaped: it comes from workers.
enum CrashPage {
    /// - Parameter paint: colours words of state, or leaves them.
    static func text(_ reports: [JSONValue], paint: (String) -> String = { $0 }) -> String {
        if reports.isEmpty { return "No worker has ended." }
        let crashes = reports.count { $0["crashed"] == .bool(true) }
        let ends = reports.count == 1 ? "1 end" : "\(reports.count) ends"
        let head = "\(ends) of workers, \(crashes == 1 ? "1 of them a crash" : "\(crashes) of them crashes")"
        var text = head
        var wasParagraph = true
        for report in reports {
            let lines = lines(of: report, paint: paint)
            let isParagraph = lines.count > 1
            if isParagraph || wasParagraph { text += "\n" }
            text += "\n" + lines.joined(separator: "\n")
            wasParagraph = isParagraph
        }
        return text
    }

    private static func lines(of report: JSONValue, paint: (String) -> String) -> [String] {
        let time = plain(report["time"])
        let process = "pid \(plain(report["pid"])), generation \(plain(report["generation"]))"
        let who = "worker \(plain(report["slot"])) (\(process))"
        let uptime = ControlTable.time(report["uptime"])
        guard report["crashed"] == .bool(true) else {
            return ["\(time)  \(who) \(ControlTable.end(report)) after \(uptime)"]
        }
        return ["\(time)  \(who) \(paint("crashed")) after \(uptime)"] + details(of: report).map { "  " + $0 }
    }

    /// Each part that is known, in the order in which an operator asks for it.
    private static func details(of report: JSONValue) -> [String] {
        end(report) + message(report) + request(report) + frames(report) + lastLines(report) + consequence(report)
    }

    private static func end(_ report: JSONValue) -> [String] {
        var text = ControlTable.end(report)
        if let meaning = meaning(of: report) { text += ": \(meaning)" }
        return [row("end", text)]
    }

    /// What ended it, in words, because few readers know signals by heart (signal(7), sysexits.h).
    private static func meaning(of report: JSONValue) -> String? {
        switch report["returnCode"]?.integer {
        case -4, -5: "a Swift trap: index out of range, nil, overflow or failed precondition"
        case -6: "abort(): the program, the C library or a runtime detected a fatal error"
        case -7: "a bad address, or a mapped file that was truncated"
        case -8: "an arithmetic error, such as a division by zero"
        case -9: "killed from outside: by an operator, or by the kernel when out of memory"
        case -11: "a bad address: a wild pointer or a stack overflow"
        case -15: "asked to end by a process other than its supervisor"
        case -31: "a system call that a seccomp filter forbids"
        case 1: "an unhandled error"
        case 69: "a required service is unavailable"
        case 70: "an internal error"
        case 71, 75: "a temporary failure"
        case 78: "a configuration or permission error"
        default: nil
        }
    }

    private static func message(_ report: JSONValue) -> [String] {
        guard let words = report["lastWords"], case .object = words else {
            return [row("text", "not captured (PREFORK_CAPTURE_OUTPUT)")]
        }
        return [row("text", words["message"]?.string?.escaped(for: .terminal) ?? "it gave no reason")]
    }

    /// Which request it was.
    private static func request(_ report: JSONValue) -> [String] {
        let text = ControlTable.requests(of: report)
        if text != "-" { return [row("request", text)] }
        return report["kind"]?.string?.unescaped == "request" ? [row("request", "one was in hand")] : []
    }

    private static let mostFrames = 8

    /// The first frames of its stack, of the program's own code as far as `preforkctl` knows it.
    private static func frames(_ report: JSONValue) -> [String] {
        let stack = report["ownStack"]?.array?.compactMap(\.string) ?? []
        var lines = stack.prefix(mostFrames).enumerated().map { row($0 == 0 ? "stack" : "", $1.escaped(for: .terminal)) }
        if stack.count > mostFrames { lines.append(row("", "\(stack.count - mostFrames) more: --json")) }
        return lines
    }

    private static func lastLines(_ report: JSONValue) -> [String] {
        let message = report["lastWords"]?["message"]?.string?.unescaped
        let lines = (report["lastWords"]?["lines"]?.array ?? []).compactMap(\.string).filter { $0.unescaped != message }
        return lines.enumerated().map { row($0 == 0 ? "last" : "", $1.escaped(for: .terminal)) }
    }

    private static func consequence(_ report: JSONValue) -> [String] {
        switch report["consequence"]?.string?.unescaped {
        case "restart": [row("then", "a successor was started")]
        case "giveUp": [row("then", "the pool gave up: too many restarts")]
        default: []
        }
    }

    private static func row(_ name: String, _ text: String) -> String {
        name + String(repeating: " ", count: 9 - name.count) + text
    }

    private static func plain(_ value: JSONValue?) -> String {
        switch value {
        case .string(let text): text.escaped(for: .terminal)
        case .integer(let number): "\(number)"
        default: "-"
        }
    }
}
