// Starts a command as a process.

import PreforkEventLoop
public import PreforkSystem

extension Subprocess {
    /// Starts a command.
    ///
    /// The calling thread waits until the program runs or has failed to, some hundred microseconds that do not grow
    /// with this process's memory. A start that fails for a passing reason (EAGAIN, ETXTBSY, EFAULT) is tried again for
    /// up to 30 ms.
    ///
    /// - Throws: `SpawnError` with the step, errno and path. Nothing is left of a failed start.
    public static func spawn(_ command: Command) async throws(SpawnError) -> Subprocess {
        try await spawn(command, collectsByDefault: false)
    }

    static func spawn(_ command: Command, collectsByDefault: Bool) async throws(SpawnError) -> Subprocess {
        var pause = Duration.milliseconds(2)
        while true {
            do throws(SpawnError) {
                let loop = try chosenLoop()
                guard command.dieWithParent != nil || FamilyChildren.includes(command), !loop.isCurrent else {
                    return try start(command, on: loop, collectsByDefault)
                }
                return try await startOnThread(of: loop, command, collectsByDefault)
            } catch {
                guard error.isPassing, pause < .milliseconds(20) else { throw error }
            }
            // Cancelled: then there is no pause, and the last attempt comes sooner.
            try? await EventLoop.sleep(for: pause)
            pause *= 2
        }
    }

    private static func chosenLoop() throws(SpawnError) -> EventLoop {
        do {
            return try EventLoop.chosen(ExitWatching.loop)
        } catch {
            throw SpawnError(.streams, error)
        }
    }

    /// PR_SET_PDEATHSIG is about the thread that made the child, which must therefore live on (go #27505).
    private static func startOnThread(
        of loop: EventLoop, _ command: Command, _ collectsByDefault: Bool
    ) async throws(SpawnError) -> Subprocess {
        let result = await withUnsafeContinuation {
            (waiter: UnsafeContinuation<Result<Subprocess, SpawnError>, Never>) in
            loop.execute {
                waiter.resume(
                    returning: Result { () throws(SpawnError) in try start(command, on: loop, collectsByDefault) })
            }
        }
        return try result.get()
    }

    private static func start(
        _ command: Command, on loop: EventLoop, _ collectsByDefault: Bool
    ) throws(SpawnError) -> Subprocess {
        try command.check()
        let plumbing = try Plumbing(command, collectsByDefault: collectsByDefault)
        if plumbing.writesToPipes { ignoreBrokenPipes() }
        let plan = try command.spawnPlan(plumbing.childDescriptors, terminal: plumbing.controllingTerminal)
        CurrentProcess.collectChildren()
        let started = MonotonicInstant.now
        let spawned = try spawnProcess(plan, engine: ExitWatching.engine)
        plumbing.childSide.closeAll()
        let watched = WatchedChild(
            spawned.child, started: started, leadsGroup: plan.group == .new || plan.group == .session,
            controlGroup: command.controlGroup, loop: loop)
        if FamilyChildren.includes(command) { FamilyChildren.add(watched) }
        return connect(command, plumbing, watched)
    }

    private static func connect(_ command: Command, _ plumbing: Plumbing, _ watched: WatchedChild) -> Subprocess {
        let loop = watched.loop
        let sinks = OutputSinks(
            of: watched, lingering: command.lingering, deadline: command.timeout.map { watched.started + $0 })
        let stopForOverflow = { [weak sinks] in sinks?.overflow(command.stopPlan) ?? () }
        let stdout = plumbing.outlets.stdout.flatMap { sinks.connect($0, 1, onOverflow: stopForOverflow) }
        let stderr = plumbing.outlets.stderr.flatMap { sinks.connect($0, 2, onOverflow: stopForOverflow) }
        let writer = plumbing.input.map { ByteWriter(owning: $0.writing, kind: $0.kind, on: loop) }
        let feed = plumbing.inputRest
        let process = Subprocess(
            command, watched, sinks: sinks, stdin: feed.isEmpty ? writer : nil, stdout: stdout, stderr: stderr,
            owningTerminal: plumbing.terminalPrimary)
        plumbing.parentSide.releaseAll()
        loop.execute {
            watched.begin(timeout: command.timeout, stopPlan: command.stopPlan)
            sinks.begin()
            if let writer, !feed.isEmpty { write(feed, to: writer, until: watched) }
        }
        return process
    }

    /// Writes the rest of an input while the process runs. Runs on the loop.
    private static func write(_ bytes: ArraySlice<UInt8>, to writer: ByteWriter, until watched: WatchedChild) {
        Task(executorPreference: watched.loop.preference) {
            // A program need not read all of its input (EPIPE), and no process reads it after the exit.
            try? await writer.write(bytes)
            writer.close()
        }
        watched.onReaped { writer.close() }
    }
}

extension SpawnError {
    /// EAGAIN: the limit of processes is reached, which may be over when another one ends. ETXTBSY: another thread's
    /// child holds the program's file open for writing until its exec (go #22315). EFAULT: another thread has changed
    /// the environment while it was read.
    fileprivate var isPassing: Bool {
        (step == .clone && errno == .again) || (step == .exec && [.textFileBusy, .badAddress].contains(errno))
    }
}
