// A pool as it is left to the next image of its program.

import PreforkSystem

/// A worker that outlives the image that has forked it.
struct InheritedWorker: Equatable, InheritedChild {
    var slot: Int
    var pid: Int32
    var spawn: UInt64
    var generation: Int
    /// Its line of the scoreboard.
    var line: Int
    /// Monotonic nanoseconds.
    var started: Int64
    var isLeaving: Bool
    var wasReady: Bool
    /// How often it gives a heartbeat. If nil, never.
    var heartbeatPeriod: Duration?
    /// One of the descriptors that come with the text is its doorbell.
    var hasDoorbell = false
    /// The descriptor that reads its output. If nil, its output is not captured.
    var output: OutputPipe.Kind?

    fileprivate static let wordCount = 11

    var words: [String] {
        let identity = [Int64(slot), Int64(pid), Int64(clamping: spawn), Int64(generation), Int64(line), started]
        let period = heartbeatPeriod.map { max(1, $0.saturatedNanoseconds) } ?? 0
        let flags = [isLeaving, wasReady, hasDoorbell].map { $0 ? "1" : "0" }
        return identity.map(String.init) + flags + ["\(period)", "\(output?.rawValue ?? 0)"]
    }
}

extension InheritedWorker {
    /// - Parameter words: eleven, each zero or more.
    init(_ words: ArraySlice<Int64>) {
        let words = Array(words)
        slot = Int(words[0])
        pid = Int32(clamping: words[1])
        spawn = UInt64(words[2])
        generation = Int(words[3])
        line = Int(words[4])
        started = words[5]
        isLeaving = words[6] == 1
        wasReady = words[7] == 1
        hasDoorbell = words[8] == 1
        heartbeatPeriod = words[9] == 0 ? nil : .nanoseconds(words[9])
        output = OutputPipe.Kind(rawValue: Int(words[10]))
    }
}

/// The parts of a pool that continue in the next image.
struct InheritedPool: Equatable {
    var generation: Int
    var spawns: UInt64
    var restarts: Int
    var supervisorStarted: Int64
    /// The signals that were blocked before supervision began.
    var signalMask: [Int32]
    /// The desired number of workers: an operator may have scaled the pool.
    var slots: Int
    /// Task IDs whose workers have ended with exit code 0. The reload of the next image fills them.
    var ended: [Int]
    var workers: [InheritedWorker]

    private static let tooMany = 1 << 60
    private static let headWords = 7
    /// Another one whenever the text, the descriptors beside it or the memory behind them are other ones: an image that
    /// knows another version refuses in its trial.
    static let version = "v8"

    /// What an image of any version has written there.
    static func version(ofText text: String) -> String { text.split(separator: " ").first.map(String.init) ?? "" }

    /// As words separated by spaces: the version, seven of the pool, and eleven for each worker.
    var text: String {
        var words = [
            Self.version, "\(generation)", "\(spawns)", "\(restarts)", "\(supervisorStarted)", "\(slots)",
            "\(signalMask.count)", "\(ended.count)",
        ]
        words += signalMask.map(String.init) + ended.map(String.init)
        for worker in workers { words += worker.words }
        return words.joined(separator: " ")
    }

    init(
        generation: Int, spawns: UInt64, restarts: Int, supervisorStarted: Int64, signalMask: [Int32],
        slots: Int, ended: [Int], workers: [InheritedWorker]
    ) {
        self.generation = generation
        self.spawns = spawns
        self.restarts = restarts
        self.supervisorStarted = supervisorStarted
        self.signalMask = signalMask
        self.slots = slots
        self.ended = ended
        self.workers = workers
    }

    /// - Returns: nil if the text has another form.
    init?(text: String) {
        let parts = text.split(separator: " ")
        guard parts.first.map(String.init) == Self.version else { return nil }
        let words = parts.dropFirst().map { Int64($0) }
        guard words.count >= Self.headWords, words.allSatisfy({ $0 != nil && $0! >= 0 }) else { return nil }
        let numbers = words.map { $0 ?? 0 }
        let (signals, endedCount) = (Int(numbers[5]), Int(numbers[6]))
        guard signals <= 64, endedCount <= WorkerCount.maximum else { return nil }
        let (endedBegin, workersBegin) = (Self.headWords + signals, Self.headWords + signals + endedCount)
        guard numbers.count >= workersBegin, (numbers.count - workersBegin) % InheritedWorker.wordCount == 0
        else { return nil }
        generation = Int(numbers[0])
        spawns = UInt64(numbers[1])
        restarts = Int(numbers[2])
        supervisorStarted = numbers[3]
        slots = Int(numbers[4])
        signalMask = numbers[Self.headWords..<endedBegin].map { Int32(clamping: $0) }
        ended = numbers[endedBegin..<workersBegin].map { Int($0) }
        let size = InheritedWorker.wordCount
        workers = stride(from: workersBegin, to: numbers.count, by: size).map { InheritedWorker(numbers[$0..<$0 + size]) }
        // No sum of these can overflow, and each line is within a scoreboard.
        guard [generation, restarts, Int(clamping: spawns)].allSatisfy({ $0 < Self.tooMany }),
            (1...WorkerCount.maximum).contains(slots), ended.allSatisfy({ $0 < slots }),
            workers.allSatisfy({ worker in
                (0..<WorkerCount.maximum).contains(worker.slot) && worker.pid > 0 && worker.generation < Self.tooMany
                    && worker.line < WorkerCount.maximum * 4 && worker.spawn < Self.tooMany
            }), Set(workers.map(\.spawn)).count == workers.count, Set(workers.map(\.line)).count == workers.count
        else { return nil }
    }
}

extension Pool {
    /// Slots whose workers have ended with exit code 0.
    var endedSlots: [Int] { slots.filter { !$0.isRetired && $0.state == .ended }.map(\.taskID) }

    /// The workers that live, with their lines by spawn.
    func inheritance(lines: [UInt64: Int]) -> [InheritedWorker] {
        var list: [InheritedWorker] = []
        func add(_ slot: Slot, _ worker: WorkerProcess, isLeaving: Bool, wasReady: Bool) {
            guard let line = lines[worker.spawn] else { return }
            list.append(
                InheritedWorker(
                    slot: slot.taskID, pid: worker.pid, spawn: worker.spawn, generation: worker.generation, line: line,
                    started: worker.started.nanoseconds, isLeaving: isLeaving, wasReady: wasReady))
        }
        for slot in slots {
            if let worker = slot.worker { add(slot, worker, isLeaving: !slot.isReady, wasReady: slot.wasReady) }
            if let worker = slot.replacement?.worker { add(slot, worker, isLeaving: true, wasReady: false) }
            for leaving in slot.leaving { add(slot, leaving.worker, isLeaving: true, wasReady: leaving.wasReady) }
        }
        return list
    }

    /// Continues with the workers of the previous image.
    ///
    /// The new program sets the number of workers, unless an operator has scaled the pool, or it scales itself. The
    /// reload that follows forks additional workers. Surplus workers end after it.
    ///
    /// - Returns: the actions that follow at once. The caller makes the first tick.
    mutating func inherit(
        _ inherited: InheritedPool, scaledTo: Int? = nil, at now: MonotonicInstant
    ) -> [PoolAction] {
        self.now = now
        defer { actions = [] }
        let range = settings.scaling.workers
        self.scaledTo = range == nil && scaledTo != configured ? scaledTo : nil
        let within = range.map { min(max(inherited.slots, $0.lowerBound), $0.upperBound) }
        let wanted = within ?? self.scaledTo ?? configured
        sizeAfterReload = wanted < inherited.slots ? wanted : nil
        generation = inherited.generation
        resume(spawns: inherited.spawns, restarts: inherited.restarts)
        slots = (0..<max(inherited.slots, wanted)).map {
            Slot(taskID: $0, state: .backingOff(until: now), generation: generation)
        }
        for taskID in inherited.ended { slots[taskID].state = .ended }
        for worker in inherited.workers {
            while slots.count <= worker.slot {
                slots.append(Slot(taskID: slots.count, state: .ended, generation: generation))
                slots[slots.count - 1].isRetired = true
            }
            let process = WorkerProcess(
                pid: worker.pid, spawn: worker.spawn, generation: worker.generation,
                started: MonotonicInstant(nanoseconds: worker.started))
            if worker.isLeaving || slots[worker.slot].worker != nil {
                slots[worker.slot].leaving.append(
                    LeavingWorker(worker: process, deadline: drainDeadline, wasReady: worker.wasReady))
                // One that boots, or has no place any more, was not asked yet, and would serve until it is killed with
                // requests in hand. To those that were it is no news.
                actions.append(.signal(slot: worker.slot, spawn: worker.spawn, .terminate))
            } else {
                slots[worker.slot].state = .ready(process)
                slots[worker.slot].generation = worker.generation
                beginLife(of: process)
            }
        }
        return actions
    }
}
