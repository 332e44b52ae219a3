// The table of descriptors: which process has which, for what, and with which rights.

/// The kinds of process that a supervisor makes.
package enum ProcessKind: String, CaseIterable, Sendable {
    case worker
    /// A managed process with the workers' rights.
    case managed
    /// A managed process that keeps the supervisor's rights (`TargetOptions.privileges`).
    case privileged
    /// The new program of an upgrade, which shows that it can start.
    case trial
    /// A program that a worker, a managed process or a hook starts by `Command`.
    case command

    var heading: String {
        switch self {
        case .worker: "worker"
        case .managed: "managed process"
        case .privileged: "managed, `.supervisor`"
        case .trial: "trial of an upgrade"
        case .command: "program started by `Command`"
        }
    }
}

/// What a descriptor is for.
package enum DescriptorRole: String, CaseIterable, Sendable {
    case standardStream, program, listener, store, workQueue, channel, names, lifeline, doorbell
    case capturedOutput, lifelineHold, otherDoorbell, workerLines, supervisorWords, controlLine
    case controlSocket, metricsSocket, pidFile, logFile, notifySocket, epoll, mainLoop, signals, pidfd, programImage
    case handover, memoryEvents, accessLog, accessLogNews, accessLogRoute, metrics, clockNotice, onceBell
    case spareOrders, otherSpareOrders
    case linkNews, linkRoute
}

extension ProcessKind {
    fileprivate var ordinal: Int {
        switch self {
        case .worker: 0
        case .managed: 1
        case .privileged: 2
        case .trial: 3
        case .command: 4
        }
    }
}

extension DescriptorRole {
    /// Proof: an enumeration of less than 256 cases without values is one byte, the number of the case.
    fileprivate var ordinal: Int { withUnsafeBytes(of: self) { Int($0[0]) } }
}

/// One row of the table.
package struct DescriptorRow: Sendable {
    package enum Access: String, Sendable {
        case reading, writing, both
        /// Neither read nor written: an epoll, a pidfd, a path.
        case other

        var text: String {
            switch self {
            case .reading: "read"
            case .writing: "write"
            case .both: "read, write"
            case .other: "-"
            }
        }
    }

    package let role: DescriptorRole
    package let what: String
    package let purpose: String
    /// How the open file was opened.
    package let access: Access
    package let keptBy: Set<ProcessKind>
}

/// Every descriptor that this package opens in a supervisor, and the kinds of children that keep it. A child closes
/// what its kind does not keep, before any other code runs in it. Descriptors that are not in the table's lower half
/// are the program's own.
package enum DescriptorTable {
    private static let children: Set<ProcessKind> = [.worker, .managed, .privileged]

    package static let rows: [DescriptorRow] = kept + supervisorsOwn

    private static let kept: [DescriptorRow] = [
        row(
            .standardStream, "0, 1, 2",
            "standard streams: the supervisor's, but for the captured output (`PREFORK_CAPTURE_OUTPUT`)", .both,
            children + [.trial]),
        row(.program, "the program's own", "what the program opened before the fork", .both, children),
        row(.listener, "listeners", "accept connections", .both, children + [.trial]),
        row(.store, "stores", "memory and bell of each (a trial has the memory), bells of the processes", .both, children + [.trial]),
        row(.workQueue, "work queues", "memory and bells of each", .both, children),
        row(.channel, "channels", "memory, bells and packet sockets of each", .both, children),
        row(.names, "names", "memory, lock and sockets of everything registered by name", .both, children),
        row(.lifeline, "lifeline, reading end", "its end says that the supervisor is gone", .reading, children),
        row(
            .doorbell, "doorbells of this process", "make the supervisor read its line, and report a crash",
            .both, children),
        row(.onceBell, "bell of the once-tasks in workers", "says that there is an order", .both, [.worker]),
        row(.accessLog, "access log", "`PREFORK_ACCESS_LOG`: appended to", .writing, [.worker]),
        row(.linkNews, "links, news of this process", "brings the ends of links by which connections move", .both, [.worker]),
        row(.accessLogNews, "access log, news of this process", "brings the new file when it was reopened", .both, [.worker]),
        row(.spareOrders, "pipe of a spare, reading end", "brings its slot; closed when it has one", .reading, [.worker]),
    ]

    private static let supervisorsOwn: [DescriptorRow] = [
        row(.lifelineHold, "lifeline, writing end", "open for as long as the supervisor lives", .writing),
        row(.capturedOutput, "output of children, reading ends", "their output goes to the log", .reading),
        row(.otherDoorbell, "doorbells of other processes", "watched by the supervisor", .both),
        row(.workerLines, "memory of the workers' lines", "children keep the mapping", .both),
        row(.supervisorWords, "memory of the supervisor's words", "children map it for reading only", .both),
        row(.metrics, "memory of metrics", "children keep the mapping of their own part, and none of the sums", .both),
        row(.controlLine, "control line", "codes for managed processes", .both),
        row(.controlSocket, "control socket", "listener (a trial has that), clients, epoll", .both, [.trial]),
        row(.metricsSocket, "metrics port", "listener (a trial has that), clients, epoll", .both, [.trial]),
        row(.pidFile, "pid file and its lock", "one supervisor for each file", .both),
        row(.logFile, "log file", "`PREFORK_LOG_FILE`", .writing),
        row(.linkRoute, "links, ways to workers", "an end of each link goes there, nothing is read", .both),
        row(.accessLogRoute, "access log, ways to workers", "the new file goes there, nothing is read", .both),
        row(.otherSpareOrders, "pipes of spares, writing ends", "hand slots over, and end spares", .writing),
        row(.notifySocket, "notify socket", "speaks to the service manager", .both),
        row(.epoll, "epolls", "what the supervisor waits for", .other),
        row(
            .mainLoop, "event loop of the main process", "its epoll, bell and pidfds, watched by the supervisor", .other),
        row(.signals, "signal descriptors", "the supervisor's signals", .reading),
        row(.clockNotice, "clock notice", "says that the wall clock was set, for once-tasks with cron schedules", .reading),
        row(.memoryEvents, "memory.events", "the kernel's out-of-memory kills in this control group", .reading),
        row(.pidfd, "pidfds", "workers, managed processes, a trial", .other),
        row(.programImage, "previous program", "rollback of an upgrade: its file and its directory", .reading),
        row(
            .handover, "handed over, and not yet taken or kept for a rollback", "what the previous program handed over",
            .both),
    ]

    package static func keeps(_ role: DescriptorRole, _ kind: ProcessKind) -> Bool {
        masks[kind.ordinal] & 1 << UInt64(role.ordinal) != 0
    }

    /// For each kind the roles that it keeps, as bits: asked for each descriptor at each fork.
    private static let masks: [UInt64] = ProcessKind.allCases.map { kind in
        rows.reduce(into: 0) { if $1.keptBy.contains(kind) { $0 |= 1 << UInt64($1.role.ordinal) } }
    }

    /// The supervisor's own that `Handover` or `Listener` know.
    static func isOffered(_ role: DescriptorRole) -> Bool {
        role == .pidFile || role == .controlSocket || role == .metricsSocket || role == .metrics
    }

    /// The role of what is left to another image, by `HandoverItem.kind`.
    package static func role(ofHandover kind: String) -> DescriptorRole {
        switch kind {
        case "listener", "inherited socket": .listener
        case "store": .store
        case "queue": .workQueue
        case "channel": .channel
        case "names": .names
        case "pid file": .pidFile
        case "metrics": .metrics
        default: .handover
        }
    }

    /// The manual's table.
    package static var markdown: String {
        let kinds = ProcessKind.allCases
        let heads = ["descriptor", "for", "access"] + kinds.map(\.heading)
        let lines = rows.map { row -> String in
            let cells = [row.what, row.purpose, row.access.text] + kinds.map { row.keptBy.contains($0) ? "yes" : "-" }
            return "| \(cells.joined(separator: " | ")) |"
        }
        let rule = "|" + heads.map { _ in "---|" }.joined()
        return (["| \(heads.joined(separator: " | ")) |", rule] + lines).joined(separator: "\n") + "\n"
    }

    private static func row(
        _ role: DescriptorRole, _ what: String, _ purpose: String, _ access: DescriptorRow.Access,
        _ keptBy: Set<ProcessKind> = []
    ) -> DescriptorRow {
        DescriptorRow(role: role, what: what, purpose: purpose, access: access, keptBy: keptBy)
    }
}

private func + (kinds: Set<ProcessKind>, others: Set<ProcessKind>) -> Set<ProcessKind> { kinds.union(others) }
