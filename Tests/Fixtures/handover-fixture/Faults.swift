// What goes wrong in the workers of one generation.

import Glibc
import Prefork
import PreforkEventLoop
import PreforkFixtureSupport
import PreforkSystem

struct Faults {
    private var lines: [String: [Int]] = [:]

    init(path: String, generation: Int) {
        for line in ((try? SmallFile.read(path, limit: 4096)) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 1, Int(words[0]) == generation else { continue }
            lines[String(words[1])] = words.dropFirst(2).compactMap { Int($0) }
        }
    }

    func numbers(_ name: String) -> [Int]? { lines[name] }

    /// - `die STEP COUNT`: ends at the COUNT-th time that STEP comes.
    /// - `slow MS`: stands still when the first offer has come.
    /// - `full`: has no descriptor left from then on.
    func install(on loop: EventLoop) {
        let (die, slow, isFull) = (numbers("die"), numbers("slow"), numbers("full") != nil)
        guard die != nil || slow != nil || isFull else { return }
        let state = StepCounts()
        loop.onHandoverStep = { step in
            state.counts[step.rawValue, default: 0] += 1
            if let die, die.count == 2, step.rawValue == die[0], state.counts[step.rawValue] == die[1] {
                kill(getpid(), SIGKILL)
            }
            if step == .received, state.counts[step.rawValue] == 1, let slow { usleep(UInt32(slow[0]) * 1_000) }
            if step == .helloSent, isFull { fillDescriptorTable() }
        }
    }
}

extension Faults {
    /// - `exit TASK-ID`: that worker ends before it serves.
    /// - `crash TASK-ID MS`: that worker ends so long after its start.
    func end(_ worker: Worker) {
        if numbers("exit")?.first == worker.taskID { worker.exit(code: 3) }
        guard let crash = numbers("crash"), crash.count == 2, crash[0] == worker.taskID else { return }
        worker.loop.call(after: .milliseconds(crash[1])) { worker.exit(code: 3) }
    }
}

/// Of the loop's thread.
private final class StepCounts: @unchecked Sendable {
    // Sendable: only the loop's thread has it.
    var counts: [Int: Int] = [:]
}

private func fillDescriptorTable() {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = min(limit.rlim_cur, 256)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    while open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 {}
}
