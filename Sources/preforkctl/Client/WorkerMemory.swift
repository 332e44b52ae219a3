// The memory of workers, their own and shared, added by the tool that shows it.

import PreforkSupervisor
import PreforkSystem

/// Reads what of the workers' memory is their own, at most every ten seconds, and for half a second at most.
///
/// The kernel walks all of a worker's pages for it, under a lock that the worker needs and can hold: 9 ms for 300 MiB. So
/// this tool waits, and not the supervisor, and only when an operator asks.
struct WorkerMemory {
    /// A status shows what was read within this time.
    static let interval = Duration.seconds(10)
    /// Workers that were not read in this time have no figures.
    static let limit = Duration.milliseconds(500)

    private var reader = ProcessUsageReader()
    private var known: [Int32: ProcessMemory] = [:]
    private var nextReading = MonotonicInstant.now

    /// A status, with members `pss`, `shared` and `private` in each worker, in bytes. Workers whose memory this user may
    /// not read have none.
    ///
    /// - Parameter supervisor: the process at the other end of the socket, as this process sees it. A status that names
    ///   another process comes from another PID namespace, where its numbers mean other processes.
    mutating func added(to status: JSONValue, supervisor: Int32) -> JSONValue {
        guard case .object(let members) = status, status["supervisor"]?.integer == Int64(supervisor) else {
            return status
        }
        let pids = (status["workers"]?.array ?? []).compactMap(Self.pid(of:))
        if MonotonicInstant.now >= nextReading { read(pids) }
        return .object(
            members.map { member in
                guard member.name == "workers", case .array(let workers) = member.value else { return member }
                return JSONValue.Member("workers", .array(workers.map(withMemory)))
            })
    }

    /// The figures of such a status, as the supervisor's metrics are written.
    static func metrics(of status: JSONValue) -> String {
        var text = ""
        for (name, member, help) in [
            ("proportional", "pss", "Memory, shared pages divided by the processes that have them"),
            ("shared", "shared", "Memory that other processes have, too"),
            ("private", "private", "Memory that no other process has"),
        ] {
            let family = "prefork_worker_\(name)_bytes"
            text += "# HELP \(family) \(help)\n# TYPE \(family) gauge\n"
            for worker in status["workers"]?.array ?? [] {
                guard let slot = worker["slot"]?.integer, let pid = worker["pid"]?.integer,
                    let bytes = worker[member]?.integer
                else { continue }
                text += "\(family){slot=\"\(slot)\",pid=\"\(pid)\"} \(bytes)\n"
            }
        }
        return text
    }

    private mutating func read(_ pids: [Int32]) {
        let end = MonotonicInstant.now + Self.limit
        known = [:]
        for pid in pids where MonotonicInstant.now < end { known[pid] = reader.memory(of: pid) }
        nextReading = .now + Self.interval
    }

    private func withMemory(_ worker: JSONValue) -> JSONValue {
        guard case .object(let members) = worker, let memory = Self.pid(of: worker).flatMap({ known[$0] }) else {
            return worker
        }
        let figures = [("pss", memory.proportional), ("shared", memory.shared), ("private", memory.unique)]
        return .object(members + figures.map { JSONValue.Member($0.0, .integer(Int64($0.1))) })
    }

    private static func pid(of worker: JSONValue) -> Int32? { worker["pid"]?.integer.flatMap { Int32(exactly: $0) } }
}
