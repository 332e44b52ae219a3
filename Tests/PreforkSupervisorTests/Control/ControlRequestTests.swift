// Lines of the control socket as requests.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct ControlRequestTests {
    @Test(arguments: [
        (#"{"command":"status"}"#, ControlRequest.status(detailed: false)),
        (#"{"command":"status","detailed":true}"#, .status(detailed: true)),
        (#"{"wait":true,"command":"reload"}"#, .perform(.reload, wait: true)),
        (#"{"command":"scale","to":4}"#, .perform(.scale(.to(4)), wait: false)),
        (#"{"command":"scale","by":-1}"#, .perform(.scale(.by(-1)), wait: false)),
        (#"{"command":"restart","slot":3,"wait":false}"#, .perform(.restart(slot: 3), wait: false)),
        (#"{"command":"restart","name":"runner-0","wait":true}"#, .perform(.restartManaged(name: "runner-0"), wait: true)),
        (#"{"command":"kill","slot":0}"#, .perform(.kill(slot: 0), wait: false)),
        (#"{"command":"kill","slot":0,"wait":true}"#, .perform(.kill(slot: 0), wait: true)),
        (#"{"command":"drain","slot":1}"#, .perform(.drain(slot: 1), wait: false)),
        (#"{"command":"upgrade","path":"/a"}"#, .perform(.upgrade(path: "/a"), wait: false)),
        (#"{"command":"upgrade","path":"/a","keep":true}"#, .perform(.upgrade(path: "/a", keeps: true), wait: false)),
        (#"{"command":"rollback","wait":true}"#, .perform(.rollback, wait: true)),
        (#"{"command":"upgrade","path":null}"#, .perform(.upgrade(path: nil), wait: false)),
        (#"{"command":"rebalance"}"#, .perform(.rebalance, wait: false)),
        (#"{"command":"reopen-logs"}"#, .perform(.reopenLogs, wait: false)),
        (#"{"command":"stop","quick":true}"#, .perform(.stop(quick: true), wait: false)),
        (#"{"command":"stop","wait":true}"#, .perform(.stop(quick: false), wait: false)),
        (#"{"command":"quarantine","action":"add","label":"a","wait":true}"#, .perform(.quarantine(label: "a"), wait: true)),
    ])
    func `A request is read`(_ line: String, _ request: ControlRequest) throws {
        #expect(try ControlRequest(line: Array(line.utf8)) == request)
    }

    @Test(arguments: [
        ("", "no JSON: a value is missing at byte 0"),
        ("[]", "a request is a JSON object"),
        ("{}", "\"command\" is missing"),
        (#"{"command":1}"#, "\"command\" is missing"),
        (#"{"command":"x"}"#, "unknown command \"x\""),
        (#"{"command":"status","wait":true}"#, "status knows no \"wait\""),
        (#"{"command":"reload","wait":1}"#, "\"wait\" is true or false"),
        (#"{"command":"scale"}"#, "scale needs either \"to\" or \"by\""),
        (#"{"command":"scale","to":1,"by":1}"#, "scale needs either \"to\" or \"by\""),
        (#"{"command":"scale","to":-1}"#, "\"to\" is 0 or more"),
        (#"{"command":"scale","to":1e3}"#, "\"to\" is a whole number of at most 2147483647"),
        (#"{"command":"scale","by":99999999999}"#, "\"by\" is a whole number of at most 2147483647"),
        (#"{"command":"kill"}"#, "kill needs \"slot\""),
        (#"{"command":"restart","name":""}"#, "\"name\" is that of a managed process"),
        (#"{"command":"restart"}"#, "restart needs \"slot\""),
        (#"{"command":"kill","slot":-1}"#, "\"slot\" is 0 or more"),
        (#"{"command":"upgrade","path":"a"}"#, "\"path\" is an absolute path"),
        (#"{"command":"upgrade","path":"/\u0000"}"#, "\"path\" is an absolute path"),
    ])
    func `What is no request is refused with a reason`(_ line: String, _ reason: String) {
        #expect(throws: ControlRequestError(reason)) { try ControlRequest(line: Array(line.utf8)) }
    }
}
