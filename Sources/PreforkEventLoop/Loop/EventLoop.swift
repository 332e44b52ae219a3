// One thread that waits for everything: descriptors, timers, signals and the jobs of Swift's tasks.

public import PreforkSystem
package import Synchronization

/// An event loop: epoll, timers, signals and a job queue on one thread.
///
/// It is a `TaskExecutor` and a `SerialExecutor`: code that runs on it reaches the loop's objects (streams, timers,
/// listeners) by plain calls, without a queue or a lock. In a worker of `ForkRuntime` it is moreover the executor of
/// the whole process (see `isProcessExecutor`). A loop runs while a thread is inside `run`.
///
/// Follows tornado's IOLoop.
public final class EventLoop: TaskExecutor, SerialExecutor, @unchecked Sendable {
    // Sendable: `inbox` is safe from any thread. Everything else is touched only by the thread that runs the loop, or
    // before it runs. Entry points for other threads (`enqueue`, `execute`) go through the inbox.
    let inbox: Inbox
    // Unchecked exclusivity, here and below. Proof: each access is one call of a value's method or one assignment on the
    // loop's thread, and none of these methods calls code outside of the value. What they give back is called after the
    // access. The runtime's checks were a fifth of the instructions of an HTTP request.
    @exclusivity(unchecked) var jobs = JobQueue()
    @exclusivity(unchecked) var timers = TimerHeap<TimerAction>()
    @exclusivity(unchecked) var watches = WatchTable()
    /// The program's own, by `onSignals`.
    var signalHandlers: SignalHandlers?
    /// Those that ask this process to end, which the program does not take away.
    var stopSignals: SignalHandlers?
    var duties = DutyObservers()
    var sleepers: [WaitSlot] = []
    /// Tasks that have had their share of this turn and continue in the next.
    @exclusivity(unchecked) var pausing: [WaitSlot] = []
    @exclusivity(unchecked) var turnEnds: [any TurnEndObserver] = []
    @exclusivity(unchecked) var chunks = ChunkPool()
    /// Whether new work is still welcome. Servers on this loop end and drain when a stop is requested.
    public let stopRequest = StopRequest()
    /// Set where several processes accept from one queue.
    package var balance: ConnectionBalance?
    /// Set in a worker: where it marks its requests in progress.
    package private(set) var requests: RequestRing?
    /// Set in a worker whose loop is watched.
    package var loopMark: LoopMark?
    /// Set in a worker: which requests are refused, and where answered ones are counted.
    package var accounting: RequestAccounting?
    /// Set in a worker: where it counts how long the loop's turns take.
    package var turnDurations: SharedHistogram?
    /// When the present turn began, by the kernel's tick.
    private var turnBegan: MonotonicInstant?
    /// Set in a worker: hears which listeners are served, before their first connection is accepted, and by which protocol.
    package var onServing: ((Listener, _ isHTTP: Bool) -> Void)?
    /// Set in a worker: how connections come and go.
    var handover: HandoverDesk?
    /// Tests of the steps of a move.
    package var onHandoverStep: (@Sendable (HandoverStep) -> Void)?
    /// How long servers that drain because this process alone ends wait for one more message of idle connections.
    package var idleLinger = Duration.zero
    /// Connections that were accepted on this loop and are open.
    var acceptedConnections = 0
    /// A chunk of `ChunkPool.chunkSize` bytes. On the loop only. By functions, because another module would check the
    /// exclusivity of the pool at each access.
    package func takeChunk() -> UnsafeMutableRawPointer { chunks.take() }

    /// Takes back a chunk of `takeChunk`.
    package func giveChunk(_ chunk: UnsafeMutableRawPointer) { chunks.give(chunk) }

    /// Called once, before the loop waits for the first time with nothing left to run.
    package var onFirstWait: (() -> Void)?

    /// Calls `onFirstWait` now: a worker that accepts connections is ready, and this must be known before the first
    /// connection can end the process.
    package func beginsToAccept() {
        guard let callback = onFirstWait else { return }
        onFirstWait = nil
        callback()
    }
    /// True where this loop runs every task of the process: `Task {}`, `Task.sleep`, actors and the main actor.
    public internal(set) var isProcessExecutor = false
    /// Of this loop alone in this process, also when its object is gone.
    package let number = lastNumber.add(1, ordering: .relaxed).newValue
    private static let lastNumber = Atomic<UInt64>(0)
    let epoll: Epoll
    /// `ForkCount` of the process that has made it. In a child of that one it neither runs nor touches a descriptor.
    let process = ForkCount.current
    /// Descriptors of its users that no child keeps.
    package let usersDescriptors = Mutex<Set<Int32>>([])
    /// Where no supervisor turns it.
    let thread = Mutex<LoopThread?>(nil)
    @exclusivity(unchecked) private var events = EpollEventBuffer(capacity: 256)

    /// - Throws: `SystemError` when the process has no descriptor left for the loop's two.
    public init() throws(SystemError) {
        epoll = try Epoll()
        inbox = try Inbox()
        try epoll.add(inbox.wakeUp.descriptor.number, .readableOnce, word: WatchTable.wakeUpWord)
    }

    /// Marks on this loop go to `ring` from now on, and the ring records which task runs. On the loop's thread or
    /// before it runs.
    package func mark(in ring: RequestRing) {
        ring.becomeRing(ofLoop: Unmanaged.passUnretained(self).toOpaque())
        requests = ring
    }

    /// The loop that runs on this thread.
    public static var current: EventLoop? {
        guard let pointer = ThreadLoop.current else { return nil }
        // The pointer is set only while `run` of that very object is on this thread's stack, which keeps it alive.
        return Unmanaged<EventLoop>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Whether the caller is on this loop's thread.
    @inline(__always)
    public var isCurrent: Bool {
        ThreadLoop.current == Unmanaged.passUnretained(self).toOpaque()
    }

    /// Calls `body` on the loop: at once when the caller is on it already, else as soon as the loop comes round.
    public func execute(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { body() } else { inbox.put(.call(body)) }
    }

    /// Runs the loop on this thread until `isDone` is true, which is asked after every turn.
    ///
    /// Blocks. Must not be called on a loop's thread.
    package func run(until isDone: () -> Bool) throws(SystemError) {
        // A loop inside a loop's job would stop the outer one for good. That is how a program is written, whatever it
        // reads.
        precondition(ThreadLoop.current == nil, "an event loop already runs on this thread")
        ThreadLoop.current = Unmanaged.passUnretained(self).toOpaque()
        defer {
            ThreadLoop.current = nil
            // They hold the loop, which would otherwise never end.
            sleepers = []
        }
        while true {
            runReadyJobs()
            endTurn()
            if isDone() { return }
            try waitForEvents()
        }
    }

    /// Runs jobs until the queue is empty, but polls descriptors and timers at least every thousand jobs: tasks that
    /// keep each other busy must not starve the sockets.
    private func runReadyJobs() {
        readInbox()
        for _ in 0..<1_000 {
            guard let entry = jobs.popFirst() else { return }
            run(entry)
        }
    }

    /// A turn for a thread that has more to do than to turn this loop: without waiting, and not longer than until
    /// `end` and the end of the job that runs then.
    func turnOnce(until end: MonotonicInstant) throws(SystemError) {
        precondition(ThreadLoop.current == nil, "an event loop already runs on this thread")
        ThreadLoop.current = Unmanaged.passUnretained(self).toOpaque()
        defer { ThreadLoop.current = nil }
        try handleEvents(within: 0)
        readInbox()
        defer { endTurn() }
        while let entry = jobs.popFirst() {
            run(entry)
            if .now >= end { return }
        }
    }

    /// When there is work to do without news, or nil for never.
    package func prepareToWait() -> MonotonicInstant? {
        jobs.isEmpty && pausing.isEmpty && turnEnds.isEmpty && inbox.prepareToSleep() ? timers.next : .now
    }

    private func readInbox() {
        for letter in inbox.takeAll() {
            switch letter {
            case .job(let job, let isMainActor): jobs.append(.init(job: job, isMainActor: isMainActor))
            case .call(let body): body()
            }
        }
    }

    private func waitForEvents() throws(SystemError) {
        var timeout: Int64 = 0
        if jobs.isEmpty, pausing.isEmpty, turnEnds.isEmpty {
            if let callback = onFirstWait {
                onFirstWait = nil
                callback()
            }
            if inbox.prepareToSleep() { timeout = untilNextTimer() }
        }
        try handleEvents(within: timeout)
    }

    /// Waits for events, handles them, and then what is due.
    ///
    /// - Parameter timeout: nanoseconds. A negative timeout waits forever, 0 only polls.
    private func handleEvents(within timeout: Int64) throws(SystemError) {
        // Not at each job's end: the next job records which task runs then.
        requests?.runs(0)
        loopMark?.waits()
        if let turnDurations {
            if let turnBegan { turnDurations.observe(seconds: .coarseNow - turnBegan) }
            try events.wait(epoll, timeout: timeout)
            turnBegan = .coarseNow
        } else {
            try events.wait(epoll, timeout: timeout)
        }
        requests?.beginTurn()
        if let loopMark, let requests { loopMark.begins(at: requests.turnBegan) }
        inbox.awake()
        for index in 0..<events.count {
            let (word, happened) = events[index]
            if word != WatchTable.wakeUpWord { watches[word]?.handle(happened) }
        }
        if !timers.isEmpty { fireTimers() }
        if !pausing.isEmpty { resumePausing() }
    }

    /// After the tasks for which the kernel had news, because they come first.
    private func resumePausing() {
        let slots = pausing
        pausing = []
        for slot in slots { slot.resume(.ready) }
    }

    /// Nanoseconds, negative without timers.
    private func untilNextTimer() -> Int64 {
        guard let deadline = timers.next else { return -1 }
        return max(0, (deadline - .now).saturatedNanoseconds)
    }

    private func fireTimers() {
        let now = MonotonicInstant.now
        while let action = timers.popDue(at: now) {
            switch action {
            case .resume(let slot): slot.resume(.ready)
            case .call(let body): body()
            case .job(let job): jobs.append(.init(job: job, isMainActor: false))
            }
        }
    }
}

/// What a timer does when its time has come.
enum TimerAction {
    case resume(WaitSlot)
    case call(() -> Void)
    case job(UnownedJob)
}
