// The supervisor's ties to its host: files, the service manager, titles.

import PreforkSystem

/// Made before the first fork and before any right is given up: what needs root is open by then.
final class SupervisorHost {
    let settings: RuntimeSettings
    let pidFile: PidFile?
    let logFile: LogFile?
    /// Only workers write to it.
    let accessLog: AccessLogFile?
    let control: Listener?
    let metrics: Listener?
    /// The users that the control socket lets in.
    let audience: ControlAudience
    /// What workers and managed processes give up.
    let rights: ChildRights
    /// If nil, workers have no memory limit, or samples watch it.
    let workerGroups: WorkerGroups?
    /// What the environment holds and cannot be used. It is logged once there is a log.
    let warnings: [String]
    private let environment: NotifyEnvironment
    private let notifier: NotifyClient?
    private var watchdog: NotifyWatchdog?
    private var hasToldPID = false
    private var toldStatus: String?

    private static let pidFileKind = "pid file"

    init(_ settings: RuntimeSettings, pid: Int32, now: MonotonicInstant) throws(SupervisorError) {
        self.settings = settings
        fillStandardDescriptors()
        do {
            rights = try ChildRights(settings)
            logFile = try settings.logFile.map { path throws(SystemError) in
                try LogFile(path: path, format: settings.logFormat)
            }
            accessLog = try settings.accessLog.map { path throws(SystemError) in
                AccessLogFile(try AppendFile(path: path), settings.accessLogFormat.form)
            }
            pidFile = try Self.pidFile(settings.pidFile)
            let owner = settings.controlOwner ?? .unchanged
            audience = try settings.controlSocket.map { path throws(SystemError) in
                try ControlAudience(owner, at: path)
            } ?? ControlAudience()
            control = try settings.controlSocket.map { path throws(SystemError) in
                try ControlServer.bind(path, owner: owner)
            }
            metrics = try settings.metrics.map { endpoint throws(SystemError) in
                let place = settings.metricsOwner.map { endpoint.owned(by: $0) } ?? endpoint
                return try Listener(place, backlog: MetricsServer.backlog)
            }
            environment = NotifyEnvironment.take(keeping: settings.keepsServiceVariables)
        } catch {
            throw SupervisorError(.host("\(error)"))
        }
        var warnings: [String] = []
        do throws(SystemError) {
            notifier = try environment.notifySocket.map { name throws(SystemError) in
                try NotifyClient(socket: name)
            }
        } catch {
            // sd_notify(3) callers ignore failures, and so does this one.
            notifier = nil
            warnings.append("NOTIFY_SOCKET cannot be used, so the service manager is not notified: \(error)")
        }
        if let complaint = NotifyWatchdog.complaint(environment) { warnings.append(complaint) }
        if let user = rights.otherUser, audience.includes(user: user, groups: rights.groups) {
            warnings.append("the workers can send commands to the control socket (see PREFORK_CONTROL_OWNER)")
        }
        if let warning = rights.sandbox?.warning { warnings.append(warning) }
        if let warning = rights.scoreWarning { warnings.append(warning) }
        workerGroups = Self.workerGroups(settings, &warnings)
        self.warnings = warnings
        watchdog = NotifyWatchdog(environment, pid: pid, minimumReady: settings.watchdogMinimum, now: now)
        // Before titles, which lie where the arguments were.
        _ = ProgramImage.arguments
        if settings.setsTitles { _ = ProcessTitle.prepare() }
        // From here on no child keeps the descriptors, whichever is forked first.
        DescriptorHolders.add(self)
    }

    /// Before the first child is forked, which would be left in the group that must be empty.
    private static func workerGroups(_ settings: RuntimeSettings, _ warnings: inout [String]) -> WorkerGroups? {
        // A trial is not the service: it would move itself.
        guard let limit = settings.workerMemory, !Handover.isTrial else { return nil }
        do throws(WorkerGroupsError) {
            return try WorkerGroups(limit: limit)
        } catch {
            warnings.append(
                "workers have no control groups of their own, so PREFORK_WORKER_MEMORY replaces a worker whose resident "
                    + "memory reaches it, once a second: \(error)")
            return nil
        }
    }

    private static func pidFile(_ path: String?) throws -> PidFile? {
        // A trial is not the service: the pid file stays with its owner.
        guard let path, !Handover.isTrial else { return nil }
        let file: PidFile
        if let left = Handover.take(pidFileKind, key: path), !left.descriptors.isEmpty {
            file = try PidFile.adopt(left.descriptors, path: path)
        } else {
            file = try PidFile.take(path)
        }
        _ = Handover.offer(HandoverItem(kind: pidFileKind, key: path, descriptors: file.descriptors))
        return file
    }

    /// The access log's number, which stays the same. If nil, there is none.
    var accessLogNumber: Int32? { accessLog?.file.descriptor.number }

    func reopenAccessLog() throws(SystemError) { try accessLog?.file.reopen() }

    /// For a worker that is forked next. If nil, there is no access log.
    func makeAccessLogRoute() throws(SystemError) -> AccessLogRoute? {
        guard let accessLog else { return nil }
        return try AccessLogRoute(log: accessLog.file.descriptor.number, accessLog.form)
    }

    /// When the service manager's watchdog must be checked.
    var nextLook: MonotonicInstant? { watchdog?.nextLook }

    /// Feeds the watchdog, if it is time and enough workers are ready.
    func feedWatchdog(readyWorkers: @autoclosure () -> Int, at now: @autoclosure () -> MonotonicInstant) {
        guard watchdog != nil else { return }
        if watchdog?.isDue(readyWorkers: readyWorkers(), at: now()) == true { notify(.watchdog) }
    }

    /// Notifies the service manager, if there is one. A socket without a listener is no reason to stop.
    ///
    /// The first READY of this image says which process is the service: under a wrapper the manager knows another one.
    /// PID 1 has its own namespace: outside, its number means another process.
    func notify(_ states: ServiceState...) {
        guard let notifier else { return }
        let pid = CurrentProcess.pid
        let tellsPID = !hasToldPID && states.contains(.ready) && pid != 1
        let isSent = (try? notifier.send(tellsPID ? states + [.mainPID(pid)] : states)) ?? false
        if tellsPID { hasToldPID = isSent }
        for case .status(let text) in states { toldStatus = isSent ? text : nil }
    }

    /// Has the service manager keep descriptors for the next start of the service, unless it has said that it keeps none.
    func store(_ descriptors: [(name: String, number: Int32)]) {
        guard let notifier, ProcessEnvironment.all["FDSTORE"] != "0" else { return }
        // Failures are ignored, as those of notifications.
        try? notifier.store(descriptors)
    }

    /// Says how the service is, unless the service manager knows. What it had no room for is said with the next change.
    func notifyStatus(_ text: @autoclosure () -> String) {
        guard notifier != nil else { return }
        let text = text()
        if text != toldStatus { notify(.status(text)) }
    }

    func setTitle(_ state: String, workers: Int) {
        guard settings.setsTitles else { return }
        let text = ProcessTitleText(role: .supervisor(workers: workers), state: state, service: settings.service)
        ProcessTitle.set(text.title, name: text.name)
    }

    /// Puts back what the next image of this program has to find.
    func prepareForExec() {
        try? environment.restore()
    }

    /// There is no next image: workers must not find what was meant for it.
    func returnFromFailedExec() {
        if !settings.keepsServiceVariables { ProcessEnvironment.remove(NotifyEnvironment.variables) }
    }

    /// The service is over.
    func end() {
        workerGroups?.close()
        _ = pidFile?.remove()
    }
}

/// The access log, open for appending.
final class AccessLogFile {
    let file: AppendFile
    let form: AccessLog.Form

    init(_ file: consuming AppendFile, _ form: AccessLog.Form) {
        self.file = file
        self.form = form
    }
}

extension SupervisorHost: DescriptorHolder {

    var heldDescriptors: [HeldDescriptor] {
        var held: [HeldDescriptor] = []
        held += (pidFile?.descriptors ?? []).map { HeldDescriptor(.pidFile, $0) }
        if let logFile { held.append(HeldDescriptor(.logFile, logFile.descriptor)) }
        if let notifier { held.append(HeldDescriptor(.notifySocket, notifier.descriptor)) }
        if let control { held.append(HeldDescriptor(.controlSocket, control.descriptor)) }
        if let metrics { held.append(HeldDescriptor(.metricsSocket, metrics.descriptor)) }
        return held
    }
}
