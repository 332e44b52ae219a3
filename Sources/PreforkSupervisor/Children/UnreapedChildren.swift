// Children that have ended and cannot be collected, or that outlive SIGKILL.

import PreforkSystem

/// A process that is traced shows its end to the tracer and not to its parent (ptrace(2)), and a tracer can even keep
/// it from ending after SIGKILL (PTRACE_O_TRACEEXIT). Any process of the same user may trace a worker. So no end is
/// waited for without a limit: a child that is over and cannot be collected within 100 ms, or has not ended within 5 s
/// of SIGKILL, is given up, and collected when the tracer lets go of it.
///
/// Children are named by a key of the user's.
struct UnreapedChildren {
    /// Long for a harmless tracer such as strace(1), which collects at once. Short for a slot without a worker.
    static let patience = Duration.milliseconds(100)
    static let killPatience = Duration.seconds(5)
    private static let shortPause = Duration.milliseconds(10)
    private static let longPause = Duration.seconds(1)

    private struct Wait {
        /// When the kernel was first seen to say so.
        var over: MonotonicInstant?
        var killed: MonotonicInstant?
        var pause = UnreapedChildren.shortPause
        var next: MonotonicInstant
    }

    private struct GivenUp {
        let child: ChildProcess
        /// No other process has it, as long as this one may write there.
        let line: Int?
        var pause = UnreapedChildren.shortPause
        var next: MonotonicInstant
    }

    private var waits: [UInt64: Wait] = [:]
    private var givenUp: [GivenUp] = []

    mutating func wasKilled(_ key: UInt64, at now: MonotonicInstant) {
        guard waits[key]?.killed == nil else { return }
        waits[key, default: Wait(next: now + Self.killPatience)].killed = now
    }

    /// Asked when a child could not be collected.
    ///
    /// - Parameter isOver: whether the kernel says that it has ended.
    /// - Returns: whether the supervisor must stop waiting for it.
    mutating func isToBeGivenUp(_ key: UInt64, isOver: Bool, at now: MonotonicInstant) -> Bool {
        var wait = waits[key] ?? Wait(next: now)
        if isOver {
            guard let over = wait.over else {
                wait.over = now
                wait.next = now + wait.pause
                waits[key] = wait
                return false
            }
            if now - over >= Self.patience { return true }
            if wait.next <= now {
                wait.pause = min(wait.pause * 2, Self.patience)
                wait.next = now + wait.pause
            }
        } else if let killed = wait.killed {
            if now - killed >= Self.killPatience { return true }
            wait.next = killed + Self.killPatience
        } else {
            waits[key] = nil
            return false
        }
        waits[key] = wait
        return false
    }

    mutating func remove(_ key: UInt64) { waits[key] = nil }

    /// Checks for its end from time to time, by the process number, which the process keeps until it is collected. A
    /// pidfd for each would let a worker that makes many of them use up the supervisor's descriptors.
    mutating func keep(_ child: ChildProcess, line: Int?, at now: MonotonicInstant) {
        givenUp.append(
            GivenUp(child: ChildProcess(withoutPidfd: child.pid), line: line, next: now + Self.shortPause))
    }

    var nextLook: MonotonicInstant? {
        if waits.isEmpty, givenUp.isEmpty { return nil }
        return [waits.values.lazy.map(\.next).min(), givenUp.lazy.map(\.next).min()].lazy.compactMap { $0 }.min()
    }

    /// The processes to check now.
    func due(at now: MonotonicInstant) -> [UInt64] {
        waits.isEmpty ? [] : waits.filter { $0.value.next <= now }.map(\.key).sorted()
    }

    /// Collects those given up that can be by now.
    ///
    /// - Returns: the lines that are free.
    mutating func collect(at now: MonotonicInstant) -> [Int] {
        if givenUp.isEmpty { return [] }
        var lines: [Int] = []
        for index in givenUp.indices.reversed() where givenUp[index].next <= now {
            if givenUp[index].child.reapOrLose() != nil {
                if let line = givenUp.remove(at: index).line { lines.append(line) }
            } else {
                givenUp[index].pause = min(givenUp[index].pause * 2, Self.longPause)
                givenUp[index].next = now + givenUp[index].pause
            }
        }
        return lines
    }

    /// Of those given up.
    var processes: [Int32] { givenUp.map(\.child.pid) }
}

extension ChildProcess {
    /// Why it was given up. The operator can then end the tracer.
    var lateLine: LogLine {
        let reason =
            tracer.map { "it is traced by process \($0) (TracerPid in /proc/\(pid)/status)" }
            ?? (isOver ? "another process traces it" : "it has not ended within \(UnreapedChildren.killPatience.short) of SIGKILL")
        return LogLine(.warning, "process \(pid) cannot be collected: \(reason)")
    }
}
