// All decisions about once-tasks: a value that turns events into actions and touches nothing else.

import PreforkSystem

/// The once-tasks of a manager, in the order in which they were added.
struct OnceTable: Equatable {
    private(set) var tasks: [OnceTask] = []
    /// What the previous image knew of its tasks. What is left of it when the schedules begin is of tasks that this
    /// program does not have: a rollback hands it back.
    var inherited: [String: OnceRecord] = [:]
    /// Runs may begin.
    private(set) var isRunning = false
    private var settings: [OnceSettings] = []
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// Whether there is anything that keeps a manager waiting.
    var isActive: Bool { isRunning && !tasks.isEmpty }
    var hasTasksInWorkers: Bool { settings.contains { $0.workerIndex != nil } }
    var isEmpty: Bool { settings.isEmpty }

    subscript(name: String) -> OnceTask? { tasks.first { $0.name == name } }

    func knows(_ name: String) -> Bool { settings.contains { $0.name == name } }

    /// If the schedules have begun, this one begins now.
    mutating func add(_ settings: OnceSettings, at now: OnceInstant) {
        self.settings.append(settings)
        if isRunning { tasks.append(OnceTask(settings, at: now, using: &random)) }
    }

    mutating func remove(_ name: String) {
        settings.removeAll { $0.name == name }
        tasks.removeAll { $0.name == name }
    }

    /// Schedules begin: the first due time is one interval from now. Tasks of the previous image continue.
    ///
    /// - Parameter isAlive: whether a process is a child of this image.
    mutating func begin(at now: OnceInstant, isAlive: (Int32) -> Bool) -> [OnceAction] {
        var actions: [OnceAction] = []
        if isRunning { return [] }
        isRunning = true
        for index in tasks.indices { tasks[index].resume(at: now, using: &random) }
        for settings in settings where self[settings.name] == nil {
            var task = OnceTask(settings, at: now, using: &random)
            if let record = inherited.removeValue(forKey: settings.name) {
                task.inherit(record, isAlive: isAlive, at: now, using: &random, &actions)
            }
            tasks.append(task)
        }
        return actions
    }

    /// No run begins from now on. Runs that are going are not touched.
    mutating func hold() -> [OnceAction] {
        guard isRunning else { return [] }
        isRunning = false
        var actions: [OnceAction] = []
        for index in tasks.indices { tasks[index].stop(&actions) }
        return actions
    }

    /// Due times that come while no run may begin are not counted. Limits of runs hold.
    func deadline(at now: OnceInstant) -> MonotonicInstant? {
        tasks.lazy.compactMap { $0.deadline(at: now, isOpen: isRunning) }.min()
    }

    /// - Parameter isFree: whether no process of a task lives.
    mutating func tick(at now: OnceInstant, isFree: (String) -> Bool) -> [OnceAction] {
        var actions: [OnceAction] = []
        for index in tasks.indices {
            if isRunning { tasks[index].takeDueTimes(now, &random, &actions) }
            tasks[index].checkLimit(now, &actions)
            if isRunning { advance(index, now, isFree, &actions) }
        }
        return actions
    }

    private mutating func advance(
        _ index: Int, _ now: OnceInstant, _ isFree: (String) -> Bool, _ actions: inout [OnceAction]
    ) {
        if tasks[index].waiting.isEmpty || tasks[index].phase != .idle { return }
        tasks[index].advance(now, isFree: isFree(tasks[index].name), &actions)
    }

    mutating func forked(_ name: String, pid: Int32, at now: OnceInstant) -> [OnceAction] {
        var actions: [OnceAction] = []
        if let index = index(of: name) { tasks[index].forked(pid, now, &actions) }
        return actions
    }

    mutating func ended(
        _ name: String, pid: Int32, _ status: ExitStatus, wasAsked: Bool, isStuck: Bool, at now: OnceInstant,
        isFree: (String) -> Bool
    ) -> [OnceAction] {
        guard let index = index(of: name) else { return [] }
        var actions: [OnceAction] = []
        tasks[index].ended(pid, status, wasAsked: wasAsked, isStuck: isStuck, now, &actions)
        if isRunning { advance(index, now, isFree, &actions) }
        return actions
    }

    mutating func request(
        _ name: String, at now: OnceInstant, isFree: (String) -> Bool
    ) -> (result: Result<UInt64, OnceTask.Refusal>, actions: [OnceAction]) {
        guard let index = index(of: name) else {
            return (.failure(.init(text: "there is no once-task \"\(Escaping.brief(name))\"")), [])
        }
        guard isRunning else { return (.failure(.init(text: "no runs begin any more")), []) }
        var actions: [OnceAction] = []
        return (tasks[index].request(now, isFree: isFree(name), &actions), actions)
    }

    /// Runs for which a worker is needed.
    var runsToBegin: [(settings: OnceSettings, ticket: OnceTicket)] {
        tasks.compactMap { task in
            guard task.settings.workerIndex != nil, case .starting(let ticket, _) = task.phase else { return nil }
            return (task.settings, ticket)
        }
    }

    /// Those that are stuck and are no children any more are forgotten.
    mutating func collect(stuck: Set<Int32>) {
        for index in tasks.indices {
            if let pid = tasks[index].stuck, !stuck.contains(pid) { tasks[index].collected() }
        }
    }

    func records(at now: OnceInstant) -> [OnceRecord] {
        tasks.map { $0.record(at: now) } + inherited.values.sorted { $0.name < $1.name }
    }

    private func index(of name: String) -> Int? { tasks.firstIndex { $0.name == name } }
}
