// The accepting side of `serve`: when to accept, when to pause, when to end.

import PreforkSystem

/// Accepts for one `serve`. On the loop's thread only.
final class Acceptor: @unchecked Sendable {
    // Sendable: the connections' tasks, which hold it, run on the loop's thread as it does.
    /// How long the end of the service waits for the first bytes of a connection: a round trip, and not long for a
    /// client that has connected in advance and stays silent.
    private static let firstMessage = Duration.milliseconds(500)

    let listener: Listener
    let loop: EventLoop
    private let limit: Int
    /// If nil, connections neither move from here nor come here.
    let resumption: ConnectionResumption?
    private let report: @Sendable (ServingEvent) -> Void
    let connections = ConnectionSet()
    private let slot: WaitSlot
    /// The accept queues that it takes. Only an SO_REUSEPORT group has several (`AcceptDuties`).
    private var queues: [Queue] = []
    /// Which of them is asked next.
    private var turnOf = 0
    /// Those that others take now. Connections that the kernel has announced to this process alone can still be
    /// accepted.
    private var givenUp: [Queue] = []
    private var duties: Int?
    private var isPaused = false
    private var standsBack = false
    private var accepted = 0
    private var lastAccepts = 0
    /// How many connections stood in the queue when the stop of the whole service was requested.
    private var waitingAtStop = 0
    private var pause: ScheduledCall?
    /// A descriptor in reserve: when accepting fails for lack of descriptors, it is closed and one connection is
    /// accepted in its place. A worker without a reserve does not accept. It is not a duplicate of the listener's
    /// descriptor, which would keep the listener open after its owner has closed it.
    private var reserve: EventCounter?
    private var linger: ScheduledCall?
    /// Those that other processes have given, and that have no task yet.
    private var arrived: [(Connection, ConnectionResumption.Handler)] = []
    /// Until then it may give its connections away.
    var moveDeadline: MonotonicInstant?
    private var lastRepair: MonotonicInstant?
    private var closeObserver: Int?

    init(
        _ listener: Listener, loop: EventLoop, limit: Int, resumption: ConnectionResumption?,
        report: @escaping @Sendable (ServingEvent) -> Void
    ) throws(SystemError) {
        self.listener = listener
        self.loop = loop
        self.limit = limit
        self.resumption = resumption
        self.report = report
        slot = WaitSlot(loop: loop)
        if listener.queueCount == 1 {
            queues = Acceptor.list(makeQueue(0))
        } else {
            // Observe first, so that later changes are not missed.
            if AcceptDuties.mayChange { duties = loop.observeDuties { [weak self] in self?.checkDuties() } }
            let taken = AcceptDuties.queues(of: listener.queueCount) ?? [listener.ownQueue]
            queues = taken.map { makeQueue($0) }
        }
        do { reserve = try EventCounter() } catch { pauseAccepting(error) }
        // The supervisor and the siblings have the same open file, which epoll would continue to report after the close.
        closeObserver = listener.observeClose { [listener, loop, slot] in
            for number in 0..<listener.queueCount { loop.removeBeforeClose(listener.socket(ofQueue: number)) }
            loop.execute { slot.resume(.ready) }
        }
    }

    private final class Queue {
        let number: Int
        let watch: Watch
        var isWatched = false

        init(_ number: Int, _ watch: Watch) {
            self.number = number
            self.watch = watch
        }
    }

    /// Makes the runtime create the types that the first `Acceptor` of a process needs. See `EventLoop.warmUp`.
    static func warmUp() { withExtendedLifetime(list(Queue(0, Watch(-1) { _ in }))) {} }

    /// Not inlined: in `warmUp` the optimiser would put the array on the stack, and each worker would still be the first
    /// that needs the type of an array on the heap.
    @inline(never)
    private static func list(_ queue: Queue) -> [Queue] { [queue] }

    private func makeQueue(_ number: Int) -> Queue {
        listener.beginListening(onQueue: number)
        return Queue(number, Watch(listener.socket(ofQueue: number)) { [slot] _ in slot.resume(.ready) })
    }

    /// The supervisor has said which queues have no worker, or may have.
    private func checkDuties() {
        guard !connections.isLeaving, let taken = AcceptDuties.queues(of: listener.queueCount),
            taken != queues.map(\.number)
        else { return }
        let known = Dictionary((queues + givenUp).map { ($0.number, $0) }) { first, _ in first }
        givenUp = known.values.filter { !taken.contains($0.number) }
        givenUp.forEach(stopWatching)
        queues = taken.map { known[$0] ?? makeQueue($0) }
        turnOf = 0
        slot.resume(.ready)
    }

    /// The next connection, or nil when the server must end. One from another process has its handler.
    func next() async throws -> (connection: Connection, handler: ConnectionResumption.Handler?)? {
        // Handlers must get their turn while clients continue to come.
        accepted += 1
        if accepted.isMultiple(of: 16) { await Task.yield() }
        while true {
            switch try turn() {
            case .accepted(let connection): return (connection, nil)
            case .resumed(let connection, let handler): return (connection, handler)
            case .over: return nil
            case .wait: if await slot.wait() == .cancelled { throw CancellationError() }
            }
        }
    }

    private enum Turn {
        case accepted(Connection)
        case resumed(Connection, ConnectionResumption.Handler)
        case wait
        case over
    }

    /// Not inlined: Swift 6.3.1's optimiser crashes when it splits an async function with these throwing calls in it.
    @inline(never)
    private func turn() throws -> Turn {
        if !arrived.isEmpty {
            let (connection, handler) = arrived.removeFirst()
            return .resumed(connection, handler)
        }
        if !connections.isLeaving {
            if canAccept, let connection = try accept() { return .accepted(connection) }
            try updateWatch()
            return .wait
        }
        // Stop watching: a worker that no longer accepts must not absorb the kernel's wake-up.
        stopWatching()
        if let connection = acceptLast() { return .accepted(connection) }
        return isDone ? .over : .wait
    }

    func ended(_ connection: Connection) {
        connection.channel.mark?.end()
        connection.channel.close()
        let wasFull = connections.count >= limit
        connections.remove(connection)
        countConnection(-1)
        if isPaused { resume() } else if wasFull || connections.isLeaving { slot.resume(.ready) }
    }

    func handlerFailed(_ error: any Error, _ connection: Connection) {
        // What its handler still meant to say is not for it to say any more.
        if error is CancellationError || connection.isHandedOver { return }
        report(.handlerFailed(error, peer: connection.peer))
    }

    /// When this worker alone ends, clients that keep their connections do not know of it: each gets one more answer,
    /// if it asks within the linger, and with that the news that the connection ends. Called again when the whole
    /// service ends, too: then it waits a short time for clients that have just connected.
    func drain() {
        if loop.stopRequest.reach == .service { connections.round?.link.finish(.late) }
        if beginGiving() { return slot.resume(.ready) }
        tellTheRest()
    }

    /// What does not move is told of the end.
    func tellTheRest() {
        let isOfService = loop.stopRequest.reach == .service
        let limit = isOfService ? min(loop.idleLinger, Self.firstMessage) : loop.idleLinger
        connections.drain(limit <= .zero ? .none : isOfService ? .first : .next)
        if isOfService { waitingAtStop = listener.queue?.waiting ?? 0 }
        linger?.cancel()
        if limit > .zero { linger = loop.call(after: limit) { [connections] in connections.endLingering() } }
        slot.resume(.ready)
    }

    func close() {
        stopWatching()
        if let duties { loop.endObservingDuties(duties) }
        duties = nil
        pause?.cancel()
        pause = nil
        linger?.cancel()
        reserve = nil
        if let closeObserver { listener.endObservingClose(closeObserver) }
        closeObserver = nil
        Socket.endSharedAccepting()
    }

    private var canAccept: Bool { hasRoom && !standsBack }

    private var hasRoom: Bool { !isPaused && connections.count < limit }

    private func countConnection(_ change: Int) {
        loop.acceptedConnections += change
        loop.balance?.publish(loop.acceptedConnections)
    }

    private func standBack(for moment: Duration) {
        standsBack = true
        loop.call(after: moment) { [weak self] in
            self?.standsBack = false
            self?.slot.resume(.ready)
        }
    }

    /// Takes a connection, and with it the last place in the kernel's queue of waiting workers.
    ///
    /// EPOLLEXCLUSIVE alone wakes the worker that registered first whenever it waits, so that one worker gets nearly
    /// all connections (pitchfork #71, #127). A worker that registers again after it has accepted stands last, which
    /// deals connections round robin. In a burst the workers that have the CPU would still take the others' turns. A
    /// worker that has more than the average therefore pauses for a moment, in which the others, which were woken too,
    /// come to accept. A moment only, so that a stuck sibling delays no connection for long.
    private func accept() throws -> Connection? {
        for _ in queues {
            let queue = queues[turnOf]
            turnOf = (turnOf + 1) % queues.count
            if let connection = try accept(from: queue) { return connection }
            if connections.isLeaving ? !hasRoom : !canAccept { return nil }
        }
        while let queue = givenUp.last {
            if let connection = try accept(from: queue) { return connection }
            // Empty, and no longer watched: from now on the kernel wakes others for it.
            if hasRoom { givenUp.removeLast() } else { return nil }
        }
        return nil
    }

    private func accept(from queue: Queue) throws -> Connection? {
        // Most calls come after the last connection of a burst, and find no connection.
        guard try listener.whileOpen({ Socket.hasConnection(queue.watch.fd) }) else { return nil }
        do {
            guard let (socket, peer) = try acceptShared(from: queue) else { return nil }
            if pause != nil {
                pause = nil
                report(.acceptResumed)
            }
            return welcome(socket, peer, from: queue)
        } catch where error.errno == .tooManyOpenFiles && reserve != nil {
            return acceptInReserve(queue, error)
        } catch {
            try handle(error, queue)
            return nil
        }
    }

    private func acceptShared(from queue: Queue) throws(SystemError) -> (socket: Int32, peer: SocketAddress)? {
        let (connection, isRepaired) = try listener.whileOpen { () throws(SystemError) in
            try Socket.acceptShared(queue.watch.fd)
        }
        if isRepaired { reportRepair() }
        if connection == nil, listener.isShutDownForGood {
            throw SystemError("accept4", .invalidArgument, on: "\(listener.address), which another process has shut down")
        }
        return connection
    }

    private func reportRepair() {
        let now = MonotonicInstant.now
        if let lastRepair, now - lastRepair < .seconds(60) { return }
        lastRepair = now
        report(.listenerRepaired)
    }

    /// A sibling may have descriptors, but the kernel has woken this worker alone for the connection (EPOLLEXCLUSIVE).
    /// It accepts no other before it has a reserve again.
    private func acceptInReserve(_ queue: Queue, _ shortage: SystemError) -> Connection? {
        reserve = nil
        pauseAccepting(shortage)
        guard let (socket, peer) = try? acceptShared(from: queue) else { return nil }
        return welcome(socket, peer, from: queue)
    }

    private func welcome(_ socket: Int32, _ peer: SocketAddress, from queue: Queue) -> Connection {
        stopWatching(queue)
        let connection = add(socket, peer)
        if !connections.isLeaving, loop.balance?.isAboveAverage() == true { standBack(for: .microseconds(200)) }
        return connection
    }

    private func add(_ socket: Int32, _ peer: SocketAddress) -> Connection {
        let connection = Connection(owning: socket, peer: peer, loop: loop, server: connections)
        connection.channel.mark = loop.requests.map { ConnectionMark(in: $0, peer: peer) }
        connections.insert(connection)
        countConnection(+1)
        return connection
    }

    /// A connection of another process is this server's now.
    func takeOver(_ other: ArrivedConnection) {
        let connection = add(other.socket, other.state.peer)
        connection.channel.resume(other.state, written: other.fields.written)
        connection.reader.resume(unread: other.fields.unread, hasReceived: other.fields.hasReceived)
        let (unsent, handler) = (other.fields.unsent, other.handler)
        let onStep = loop.onHandoverStep == nil ? nil : connections.onStep
        arrived.append(
            (
                connection,
                { connection in
                    if !unsent.isEmpty { try await connection.writer.write(unsent) }
                    onStep?(.resumed)
                    try await handler(connection)
                }
            ))
        slot.resume(.ready)
    }

    /// Why it takes no connection of another process.
    var refusal: HandoverRefusal? { connections.isLeaving ? .draining : connections.count >= limit ? .full : nil }

    /// Connections that stand in the queue when the whole service ends would be reset by the kernel (gunicorn #2409):
    /// those are still accepted, and answered if they have asked already.
    ///
    /// When this worker alone ends, it leaves connections to the others, except one of each queue: EPOLLEXCLUSIVE wakes
    /// one sleeper for a connection. If it woke this worker, which receives the stop before it accepts, no other worker
    /// knows of the connection until the next one comes.
    private func acceptLast() -> Connection? {
        guard lastAccepts < mostLastAccepts, hasRoom else { return nil }
        lastAccepts += 1
        // Its owner may have closed the listener as the first step of the stop, and no client waits there any more.
        return try? accept()
    }

    private var mostLastAccepts: Int {
        loop.stopRequest.reach == .service ? max(limit, waitingAtStop) : queues.count + givenUp.count
    }

    /// Whether no connection can come any more. A worker that leaves alone is not done while it has connections,
    /// because the others may leave, too. Neither is a full worker, because the rest of the queue may be left to it.
    private var isDone: Bool {
        connections.count == 0 || loop.stopRequest.reach == .service && hasRoom
    }

    private func handle(_ error: SystemError, _ queue: Queue) throws(SystemError) {
        switch error.errno {
        case .invalidArgument where listener.listenAgain(queue.watch.fd):
            reportRepair()
            // A process that shuts it down again and again must not monopolize this loop.
            standBack(for: .milliseconds(10))
        case .badDescriptor, .invalidArgument, .notSocket:
            throw error
        case _ where error.errno.isOfOneConnection:
            // epoll, level-triggered here, reports the connection behind it.
            break
        default:
            // ENFILE, ENOBUFS, ENOMEM, and whatever else would come again at once.
            pauseAccepting(error)
        }
    }

    private func pauseAccepting(_ error: SystemError) {
        if pause == nil { report(.acceptPaused(error)) }
        isPaused = true
        tryAgainLater()
    }

    private func tryAgainLater() {
        pause?.cancel()
        pause = loop.call(after: .milliseconds(100)) { [weak self] in self?.resume() }
    }

    private func resume() {
        if reserve == nil {
            guard let counter = try? EventCounter() else { return tryAgainLater() }
            reserve = consume counter
        }
        isPaused = false
        slot.resume(.ready)
    }

    private func updateWatch() throws(SystemError) {
        guard canAccept else { return stopWatching() }
        for queue in queues where !queue.isWatched {
            // A listener is never writable. A socket that another process has connected to a peer is.
            try listener.whileOpen { () throws(SystemError) in try loop.add(queue.watch, for: .listener) }
            queue.isWatched = true
        }
    }

    private func stopWatching() { queues.forEach(stopWatching) }

    private func stopWatching(_ queue: Queue) {
        guard queue.isWatched else { return }
        queue.isWatched = false
        do { try listener.whileOpen { loop.remove(queue.watch) } } catch { loop.forget(queue.watch) }
    }
}
