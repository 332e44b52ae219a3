// A service that has one part of the package in use, or all: `deploy-fixture PART|all ledger=FILE pause=FILE [busy=1]
// [rest=MS] [hold=FILE] [worker=TASK-ID]`.
//
// Senders of numbers, in a managed process and in worker 0, and processes that handle them write what they do to the
// ledger, so that it can be said what was lost, came twice or came in another order while the service was deployed. Its
// workers answer HTTP requests on the port that it prints.

import Glibc
import PreforkFixtureSupport

let arguments = Settings(CommandLine.arguments.dropFirst(2).map { $0 })
let name = CommandLine.arguments.dropFirst().first ?? ""
let parts = name == "all" ? Part.together : Part(rawValue: name).map { [$0] } ?? []
guard !parts.isEmpty, let path = arguments["ledger"], let pause = arguments["pause"] else {
    let names = Part.allCases.map(\.rawValue).joined(separator: "|")
    complain(
        "usage: deploy-fixture \(names)|all ledger=FILE pause=FILE [busy=1] [rest=MS] [hold=FILE] [worker=TASK-ID]")
    exit(64)
}
let isBusy = arguments["busy"] == "1"
let rest = arguments.milliseconds("rest") ?? .milliseconds(isBusy ? 2 : 100)
let plan = Plan(
    parts: parts, ledger: path, pause: pause, hold: arguments["hold"] ?? "/nonexistent", rest: rest, isBusy: isBusy,
    taskID: arguments.number("worker") ?? 0)
exit(try Service(plan).run())
