// The status of the pool again and again: how long the supervisor takes, and what it says.

import Glibc
import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// The operator at the control socket.
final class StatusAsker {
    private let path: String
    private var client: ControlConnection?
    /// The longest time of an answer, in milliseconds.
    private(set) var longest = 0.0
    private(set) var count = 0

    init(_ path: String) { self.path = path }

    /// Whose answers these are, once it runs.
    var supervisor: Int32 = 0

    /// How long an answer may take. What the machine takes from the two processes, which wait for a processor while others
    /// have it, does not count.
    private func patience(_ begin: MonotonicInstant, _ waitsAtBegin: Duration) -> MonotonicInstant {
        begin + .seconds(5) + min(waits - waitsAtBegin, .seconds(60))
    }

    private var waits: Duration { ProcessorWait.of(supervisor) + ProcessorWait.of(getpid()) }

    enum Failure: Error { case silent, absent(String) }

    /// - Parameter isMeasured: false while the process may be between two images.
    func ask(_ request: JSONValue = .order("status"), isMeasured: Bool = true) throws(Failure) -> JSONValue {
        let (begin, waitsAtBegin) = (MonotonicInstant.now, waits)
        // A connection ends with the image that took it. One that was made by then is closed once, and then again.
        for attempt in 1...3 {
            do {
                let used = try client ?? ControlConnection(path)
                client = used
                let answer = try used.ask(request) { patience(begin, waitsAtBegin) }
                let took = Double((MonotonicInstant.now - begin).saturatedNanoseconds) / 1e6
                if isMeasured { longest = max(longest, took) }
                count += 1
                return answer
            } catch {
                client = nil
                if case ControlConnection.Failure.late = error { throw .silent }
                if case ControlConnection.Failure.refused = error { throw .absent("\(error)") }
                if attempt == 3 { throw .absent("\(error)") }
                usleep(10_000)
            }
        }
        throw .absent("no connection")
    }
}

/// How long a process has been ready to run, and another one ran.
enum ProcessorWait {
    /// Of the main thread. The second number of schedstat, in nanoseconds
    /// (Documentation/scheduler/sched-stats.rst of the kernel).
    static func of(_ process: Int32) -> Duration {
        let words = ProcText.read("/proc/\(process)/schedstat").split(separator: " ")
        return .nanoseconds(words.count > 1 ? Int64(words[1]) ?? 0 : 0)
    }
}

/// What the judge reads of an answer.
struct PoolView {
    var phase = ""
    var generation = 0
    var reload: String?
    /// Slots with a present worker that is ready.
    var ready: Set<Int> = []
    var beside = 0
    /// Slots whose worker ended with exit code 0, which stay empty until an operator orders a new one.
    var ended: [Int] = []
    /// Slot, state and process of those that are not ready.
    var others: [String] = []

    init(_ answer: JSONValue) {
        let status = answer["status"]
        phase = status?["phase"]?.string?.unescaped ?? ""
        generation = Int(status?["generation"]?.integer ?? 0)
        reload = status?["reload"]?["state"]?.string?.unescaped
        for worker in status?["workers"]?.array ?? [] {
            if worker["beside"]?.bool == true {
                beside += 1
            } else if worker["state"]?.string == "ready" {
                ready.insert(Int(worker["slot"]?.integer ?? -1))
            } else {
                if worker["state"]?.string == "ended" { ended.append(Int(worker["slot"]?.integer ?? -1)) }
                let state = worker["state"]?.string?.unescaped ?? "?"
                others.append("\(worker["slot"]?.integer ?? -1) \(state) \(worker["pid"]?.integer ?? 0)")
            }
        }
    }

    var isWhole: Bool { phase == "running" && beside == 0 && ready.isSuperset(of: 0..<Pool.workers) }
}
