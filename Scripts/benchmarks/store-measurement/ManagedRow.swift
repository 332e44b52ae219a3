// Managed processes: from the start of all to the readiness of the last, and to the end of all.

import Glibc
import Prefork

let managedRows: Rows = ["managed": managedRow]

@Sendable private func managedRow(_ arguments: Arguments) throws {
    let manager = ProcessManager(log: { _ in })
    for number in 0..<(try arguments.integer(0)) {
        try manager.addTarget("target \(number)", TargetOptions(readiness: .manual)) { child in
            child.ready()
            while true { pause() }
        }
    }
    let start = now()
    try manager.startAll(waitingForReadiness: .seconds(60))
    let ready = now()
    try manager.terminateAll()
    report(["start_ms": (ready - start) * 1e3, "stop_ms": (now() - ready) * 1e3])
}
