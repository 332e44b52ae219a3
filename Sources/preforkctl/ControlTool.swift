// One invocation: from words to an order, from the answer to text and an exit code.

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
}

enum ControlTool {
    static func run(_ arguments: [String]) -> ExitCode {
        do {
            let order = try Order(arguments, environment: CurrentProcess.environment("PREFORK_CONTROL"))
            switch order.action {
            case .print(let text): Output.write(text)
            case .top: try follow(order.socket)
            case .status: try showStatus(order.socket)
            case .request(let request, let show): try ask(order.socket, request, show)
            }
            return .done
        } catch let error as UsageError {
            Output.complain("\(error.text)\nTry 'preforkctl --help'.")
            return .usage
        } catch ControlClientError.refused(let reason) {
            Output.complain(reason)
            return .failed
        } catch {
            Output.complain("\(error)")
            return .unavailable
        }
    }

    private static func ask(_ socket: String, _ request: JSONValue, _ show: Order.Show) throws {
        let connection = try ControlClient(socket)
        let answer: JSONValue
        do {
            answer = try connection.ask(request)
        } catch ControlClientError.closedWithoutAnswer
        where request["command"] == .string("upgrade") && request["wait"] == .bool(true) {
            // The program was replaced under its process ID; what came of it is known to the new one.
            return Output.write(try Upgrade.result(socket))
        }
        switch show {
        case .message: Output.write(answer["message"]?.string ?? "done")
        case .text(let name): Output.write(answer[name]?.string ?? "", end: "")
        case .json(let name): Output.write(String(decoding: (answer[name] ?? answer).text, as: UTF8.self))
        case .rows(let name, let columns):
            Output.write(ControlTable.rows(answer[name]?.array ?? [], columns, paint: Output.coloured))
        }
    }

    private static let detailed = JSONValue.order("status", [.init("detailed", .bool(true))])

    private static func showStatus(_ socket: String) throws {
        let client = try ControlClient(socket)
        let before = try client.ask(detailed)["status"] ?? .null
        pause(.milliseconds(300))
        let status = try client.ask(detailed)["status"] ?? .null
        Output.write(ControlTable.status(status, before: before, paint: Output.coloured))
    }

    /// Shows the status again and again, until somebody ends it or the supervisor does.
    private static func follow(_ socket: String) throws {
        let client = try ControlClient(socket)
        var before = JSONValue.null
        while true {
            let status = try client.ask(detailed)["status"] ?? .null
            let screen = ControlTable.status(status, before: before, paint: Output.coloured)
            Output.write(Output.isTerminal ? "\u{1B}[H\u{1B}[J" + screen : screen + "\n")
            before = status
            pause(.seconds(1))
        }
    }
}

func pause(_ duration: Duration) {
    _ = try? Polling.waitUntilReadable([], until: .now + duration)
}

enum Upgrade {
    /// Waits until the new program answers and has rolled its workers in, or has not.
    static func result(_ socket: String) throws -> String {
        let end = MonotonicInstant.now + .seconds(120)
        while .now < end {
            pause(.milliseconds(200))
            guard let answer = try? ControlClient(socket).ask(.order("status")), let status = answer["status"],
                status["phase"] == .string("running"), status["reload"]?["state"] != .string("running")
            else { continue }
            if status["reload"]?["state"] == .string("aborted") {
                let reason = status["reload"]?["reason"]?.string ?? "no reason given"
                throw ControlClientError.refused("upgrade rolled back: \(reason)")
            }
            return "upgraded, generation \(status["generation"]?.integer ?? 0)"
        }
        throw ControlClientError.refused("the upgrade has come to no end within 120 s")
    }
}
