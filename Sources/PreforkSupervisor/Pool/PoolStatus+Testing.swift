// Statuses made by others than the supervisor: measurements and tests of what shows them.

package import PreforkSystem

extension PoolStatus {
    package init(
        supervisor: Int32, workers: [WorkerStatus], target: Int, generation: Int = 1, phase: Phase = .running,
        uptime: Duration = .seconds(1), range: ClosedRange<Int>? = nil, restarts: Int = 0, restartLimit: Int = 100,
        requestCrashes: Int = 0, reload: Reload? = nil, program: ProgramStatus? = nil
    ) {
        self.supervisor = supervisor
        self.uptime = uptime
        self.phase = phase
        self.generation = generation
        self.target = target
        self.range = range
        self.restarts = restarts
        self.restartLimit = restartLimit
        self.requestCrashes = requestCrashes
        self.reload = reload
        self.program = program
        self.workers = workers
    }
}

extension WorkerStatus {
    package init(
        slot: Int, pid: Int32?, state: State, generation: Int = 1, isBeside: Bool = false,
        uptime: Duration = .seconds(1), restarts: Int = 0, requests: UInt64 = 0, connections: Int = 0,
        heartbeatAge: Duration? = nil, lastExit: ExitReport? = nil
    ) {
        self.slot = slot
        self.pid = pid
        self.generation = generation
        self.state = state
        self.isBeside = isBeside
        self.uptime = uptime
        self.restarts = restarts
        self.requests = requests
        self.connections = connections
        self.heartbeatAge = heartbeatAge
        self.lastExit = lastExit
    }
}

extension ExitReport {
    package init(
        slot: Int, pid: Int32, status: ExitStatus, generation: Int = 1, uptime: Duration = .seconds(1),
        wasReady: Bool = true, killReason: KillReason? = nil, outOfMemory: Bool = false,
        lastWords: LastWords? = nil, hadRequest: Bool = false, usage: ResourceUsage = ResourceUsage(),
        consequence: ExitConsequence = .none
    ) {
        taskID = slot
        self.lastWords = lastWords
        self.hadRequest = hadRequest
        self.pid = pid
        self.generation = generation
        self.uptime = uptime
        self.status = status
        self.wasReady = wasReady
        self.killReason = killReason
        self.usage = usage
        self.consequence = consequence
        self.outOfMemory = outOfMemory
    }
}
