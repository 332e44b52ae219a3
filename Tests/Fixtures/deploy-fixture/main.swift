// A service that has one part of the package in use: `deploy-fixture PART ledger=FILE pause=FILE [busy=1]`.
//
// A managed process, the source, sends numbers; workers handle them. Both write to the ledger what they do, so that
// `Scripts/storm deploys` can say what was lost, came twice or came in another order while the service was deployed.

import Glibc
import Prefork
import PreforkFixtureSupport

let arguments = Settings(CommandLine.arguments.dropFirst(2).map { $0 })
let part = Part(rawValue: CommandLine.arguments.dropFirst().first ?? "")
guard let part, let path = arguments["ledger"], let pause = arguments["pause"] else {
    complain("usage: deploy-fixture \(Part.allCases.map(\.rawValue).joined(separator: "|")) ledger=FILE pause=FILE [busy=1]")
    exit(64)
}
let ledger = try Ledger(path)
let service = try Service(part, ledger, pausedBy: pause, isBusy: arguments["busy"] == "1")
exit(try service.run())
