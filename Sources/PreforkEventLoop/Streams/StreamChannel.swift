// The kernel's side of a stream: one descriptor, its readiness, and the tasks that wait for it.

import PreforkSystem

/// A non-blocking pipe end or socket on a loop.
///
/// It is registered with epoll only when something has to wait for it, edge-triggered and once: a request that is
/// answered before the next one comes costs epoll_wait, read and write, and nothing else.
final class StreamChannel: @unchecked Sendable {
    // Sendable: touched on the loop's thread only. Its owners, reader and writer, go there first.
    let loop: EventLoop
    let fd: Int32
    let kind: StreamKind
    let readers: WaitSlot
    let writers: WaitSlot
    private let readiness: Readiness
    private var watch: Watch?
    private(set) var isClosed = false
    /// How many bytes may still be read before the end is declared. If nil, the stream's real end counts.
    private var remaining: Int?
    /// Bytes moved since the last wait.
    private var movedThisTurn = 0
    private static let turnShare = 256 * 1024
    private var isIdle = false
    private var watchesWriting = false
    /// The task that serves this connection. `cancelOwner` handles its cancellation: see `ownedByCurrentTask`.
    private var owner: TaskOwnership?
    private var isOwnerCancelled = false
    /// For a connection that a worker serves: shows its supervisor that a message is in hand.
    // Unchecked exclusivity. Proof: assigned once, and else each access is one call of a method that writes to the ring
    // alone.
    @exclusivity(unchecked) var mark: ConnectionMark?
    /// Called once, when the connection's server begins to drain.
    var drainObserver: (() -> Void)?
    /// How many bytes the kernel has taken so far, in all processes that had the connection.
    private(set) var written: UInt64 = 0
    // What follows is a server's connection's alone: see the page "How Connections Move".
    /// When it was accepted, and how often it has moved since.
    var accepted = MonotonicInstant.coarseNow
    var moves: UInt32 = 0
    /// What its protocol's server or its handler packs. If nil, it has no state.
    var pack: (() throws -> HandoverParcel?)?
    var handoverState: (() throws -> any Encodable & Sendable)?
    /// Why it does not move. It drains then, whatever the others do.
    var refusal: HandoverRefusal?
    /// It is offered to another process, and has no answer. Until then nothing is read or written here.
    var isMoving: Bool {
        get { readiness.isMoving }
        set { readiness.isMoving = newValue }
    }
    private(set) var isHandedOver = false
    private var isInterrupted = false

    /// Takes over `fd`, which must be non-blocking.
    init(owning fd: Int32, kind: StreamKind, loop: EventLoop) {
        self.fd = fd
        self.kind = kind
        self.loop = loop
        readiness = Readiness(on: loop)
        readers = readiness.readers
        writers = readiness.writers
    }

    deinit {
        // The last owner may release it on any thread, but only the loop's thread may touch its tables.
        guard !isClosed else { return }
        guard let watch else { return closeDescriptor(fd) }
        let parts = UncheckedParts(watch: watch, loop: loop, fd: fd)
        loop.execute {
            parts.loop.remove(parts.watch)
            closeDescriptor(parts.fd)
        }
    }

    /// Reads available bytes into `space`, or returns nil if the caller must wait.
    func read(into space: UnsafeMutableRawBufferPointer) throws(StreamError) -> ReadOutcome? {
        if isClosed { throw StreamError(.closed) }
        guard readiness.mayRead else { return nil }
        if remaining != nil { return try readRemaining(into: space) }
        do {
            let outcome = try kind == .socket ? receiveBytes(from: fd, into: space) : readBytes(from: fd, into: space)
            switch outcome {
            case .bytes(let count) where count < space.count && !readiness.hasHungUp && watch != nil && kind.tellsByShortReads:
                // The kernel had no more: the next byte comes with a new edge (epoll(7), question 9).
                readiness.mayRead = false
            case .wouldBlock:
                readiness.mayRead = false
                return nil
            default:
                break
            }
            if case .bytes(let count) = outcome {
                movedThisTurn &+= count
                mark?.noteRead(count)
            }
            return outcome
        } catch {
            if kind == .terminal, error.errno == .inputOutput { return .end }
            throw StreamError(error)
        }
    }

    /// From now on the stream ends after the bytes that wait in the kernel, whichever process holds its other end.
    func endAfterWaitingBytes() {
        guard !isClosed, remaining == nil else { return }
        // A terminal counts its line buffer only, 4 KiB, while up to 64 KiB wait behind that.
        remaining = kind == .terminal ? 64 * 1024 : waitingByteCount(fd)
        readiness.mayRead = true
        readers.resume(.ready)
    }

    private func readRemaining(into space: UnsafeMutableRawBufferPointer) throws(StreamError) -> ReadOutcome {
        guard let rest = remaining, rest > 0 else { return .end }
        do {
            let outcome = try readBytes(from: fd, into: UnsafeMutableRawBufferPointer(rebasing: space.prefix(rest)))
            guard case .bytes(let count) = outcome else { return .end }
            remaining = rest - count
            return outcome
        } catch {
            return .end
        }
    }

    /// Lets the kernel buffer more between two wake-ups. No effect on other things than pipes, or where the user's
    /// share of pipe memory is used up (pipe(7), pipe-user-pages-soft).
    func enlargePipe() {
        if kind == .pipe { setPipeCapacity(fd, 1 << 18) }
    }

    /// Writes what the kernel takes, or returns 0 if the caller must wait.
    func write(_ bytes: UnsafeRawBufferPointer) throws(StreamError) -> Int {
        if isClosed { throw StreamError(.closed) }
        guard readiness.mayWrite, !isMoving else { return 0 }
        do {
            let count = try kind == .socket ? sendBytes(to: fd, bytes) : writeBytes(to: fd, bytes)
            if (count ?? 0) < bytes.count { readiness.mayWrite = false }
            movedThisTurn &+= count ?? 0
            written &+= UInt64(count ?? 0)
            return count ?? 0
        } catch {
            throw StreamError(error)
        }
    }

    /// As `write`, of two runs of bytes on a socket, or of what `send` itself moves into it.
    ///
    /// - Parameter count: how many bytes `send` could move at most. If it moves fewer, the socket is full.
    func send(_ count: Int, by send: (Int32) throws(SystemError) -> Int?) throws(StreamError) -> Int? {
        if isClosed { throw StreamError(.closed) }
        guard readiness.mayWrite, !isMoving else { return nil }
        do {
            guard let sent = try send(fd) else {
                readiness.mayWrite = false
                return nil
            }
            if sent < count, sent > 0 { readiness.mayWrite = false }
            movedThisTurn &+= sent
            return sent
        } catch {
            throw StreamError(error)
        }
    }

    /// Whether this stream has had its share: a peer that is always ready would keep the loop's thread for itself.
    var hasHadItsTurn: Bool { movedThisTurn >= Self.turnShare }

    /// As `hasHadItsTurn`, before a read. Without anything to read, the wait for it is a turn for the others, too.
    var mustGiveTurnToRead: Bool { hasHadItsTurn && readiness.mayRead }

    /// Whether the kernel has had nothing more at the last read, and has said nothing since.
    var mustWaitToRead: Bool { !readiness.mayRead && !isClosed }

    /// Lets other tasks go first: returns after the loop has polled all descriptors.
    // Not inlined: it would double the frame of a connection that waits.
    @inline(never)
    func giveTurn(to slot: WaitSlot) async throws {
        movedThisTurn = 0
        loop.pausing.append(slot)
        try check(await slot.wait(owner: owner))
    }

    /// Waits until the descriptor is readable again.
    func waitUntilReadable() async throws {
        try register(forWriting: false)
        try await wait(on: readers) { $0.readiness.mayRead }
    }

    /// - Parameter isIdle: no message is in hand meanwhile.
    func waitUntilReadable(isIdle: Bool) async throws {
        if isIdle { mark?.end() }
        defer { if isIdle { mark?.begin() } }
        try await waitUntilReadable()
    }

    /// As `waitUntilReadable(isIdle:)`, in the task that owns the channel: returns after any event.
    func waitUntilReadableAsOwner(isIdle: Bool) async throws {
        try register(forWriting: false)
        guard !readiness.mayRead else { return }
        movedThisTurn = 0
        if isIdle { mark?.end() }
        let outcome = await withUnsafeContinuation { readers.park($0, isCancelled: isOwnerCancelled) }
        if isIdle { mark?.begin() }
        try check(outcome)
    }

    func serverDrains() {
        let observer = drainObserver
        drainObserver = nil
        observer?()
    }

    /// Waits for the next event, or for `wakeIfIdle`.
    ///
    /// - Parameter endsMark: no message is in hand meanwhile.
    func waitForChangeWhileIdle(endsMark: Bool = true) async throws {
        guard try beginIdling(endsMark) else { return }
        defer { endIdling() }
        try check(await readers.wait(owner: owner))
    }

    /// Suspends the task that owns the channel (`isOwnedByCurrentTask`), between `beginIdling` and `endIdling(_:)`.
    func parkReader(_ continuation: UnsafeContinuation<WaitOutcome, Never>) {
        readers.park(continuation, isCancelled: isOwnerCancelled)
    }

    /// As `waitForChangeWhileIdle`, in the task that owns the channel (`isOwnedByCurrentTask`).
    func waitForChangeWhileIdleAsOwner(endsMark: Bool = true) async throws {
        guard try beginIdling(endsMark) else { return }
        let outcome = await withUnsafeContinuation { readers.park($0, isCancelled: isOwnerCancelled) }
        endIdling()
        try check(outcome)
    }

    /// Begins a wait for the first byte of a message, which `wakeIfIdle` ends.
    ///
    /// - Returns: false if there is something to read.
    func beginIdling(_ endsMark: Bool = true) throws(StreamError) -> Bool {
        try register(forWriting: false)
        guard !readiness.mayRead else { return false }
        movedThisTurn = 0
        isIdle = true
        if endsMark { mark?.end() }
        return true
    }

    func endIdling(_ outcome: WaitOutcome) throws {
        endIdling()
        try check(outcome)
    }

    private func endIdling() {
        isIdle = false
        mark?.begin()
    }

    /// Whether the cancellation of the calling task is watched by `ownedByCurrentTask`.
    var isOwnedByCurrentTask: Bool { owner?.isCurrentTask ?? false }

    /// Ends the wait of a reader that is between messages.
    ///
    /// - Returns: whether there is one.
    @discardableResult
    func wakeIfIdle() -> Bool {
        if isIdle, !isMoving { readers.resume(.ready) }
        return isIdle
    }

    /// Ends the wait of a reader or writer by a `CancellationError`. A reader that waits because the connection moves hears
    /// of it if the connection comes back.
    func interruptReading() {
        if isMoving { isInterrupted = true } else { readers.resume(.cancelled) }
    }

    /// Whether another process could take it. One whose peer has finished ends here.
    var mayMove: Bool { !isClosed && !readiness.hasHungUp && refusal == nil && !isMoving && kind == .socket }

    /// It is the other process's.
    func isTakenOver() {
        isMoving = false
        isHandedOver = true
        readers.resume(.ready)
        // Also where its handler was cancelled meanwhile. This is one of several descriptors of it, so the peer gets nothing.
        close()
    }

    /// It has been refused, or taken back.
    func comesBack() {
        guard isMoving else { return }
        isMoving = false
        readers.resume(isInterrupted ? .cancelled : .ready)
        isInterrupted = false
        writers.resume(.ready)
    }

    /// Waits for the answer of the other process.
    ///
    /// - Returns: whether it has the connection now.
    func waitForAnswer() async throws -> Bool {
        while isMoving { try check(await readers.wait(owner: owner)) }
        return isHandedOver
    }

    /// It comes from another process.
    func resume(_ state: HandedState, written: UInt64) {
        accepted = state.accepted
        moves = UInt32(clamping: state.moves + 1)
        self.written = written
    }

    /// Runs `body` as the task that this channel belongs to: its cancellation is watched once, here, instead of at
    /// every wait.
    func ownedByCurrentTask<Success>(_ body: () async throws -> Success) async rethrows -> Success {
        try await withTaskCancellationHandler {
            owner = TaskOwnership()
            defer {
                owner = nil
                isOwnerCancelled = false
            }
            return try await body()
        } onCancel: {
            loop.execute { self.cancelOwner() }
        }
    }

    /// Waits of other tasks on this channel have cancellation handlers. Ending them here, too, when the connection's
    /// task is cancelled does no harm.
    private func cancelOwner() {
        isOwnerCancelled = true
        readers.resume(.cancelled)
        writers.resume(.cancelled)
    }

    /// The next read asks the kernel, whatever epoll has said.
    func assumeReadable() {
        readiness.mayRead = true
    }

    /// Waits until the descriptor is writable again.
    func waitUntilWritable() async throws {
        try register(forWriting: true)
        try await wait(on: writers) { $0.readiness.mayWrite && !$0.isMoving }
    }

    /// A connect is under way: writable means connected.
    func mustWaitToWrite() {
        readiness.mayWrite = false
    }

    /// Calls `body` when the peer has closed its end or this side is closed, or at once if that is so already.
    func onClose(_ body: @escaping () -> Void) throws(StreamError) {
        if isClosed || readiness.hasHungUp { return body() }
        readiness.observeClose(body)
        try register(forWriting: false)
    }

    /// Shuts one direction of a socket.
    func shutDown(_ half: Socket.Half) throws(StreamError) {
        guard !isClosed, !isMoving, kind == .socket else { return }
        do {
            try Socket.shutDown(fd, half)
        } catch {
            throw StreamError(error)
        }
    }

    /// Closes the descriptor. A waiting task gets `.closed`.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        if let watch {
            loop.remove(watch)
            self.watch = nil
        }
        closeDescriptor(fd)
        drainObserver = nil
        pack = nil
        handoverState = nil
        readers.resume(.closed)
        writers.resume(.closed)
        readiness.tellCloseObservers()
    }

    private func wait(on slot: WaitSlot, until isReady: (StreamChannel) -> Bool) async throws {
        movedThisTurn = 0
        while !isReady(self) { try check(await slot.wait(owner: owner)) }
    }

    private func check(_ outcome: WaitOutcome) throws {
        switch outcome {
        case .ready: return
        case .cancelled: throw CancellationError()
        case .closed: throw StreamError(.closed)
        }
    }

    private func register(forWriting: Bool) throws(StreamError) {
        if isClosed { throw StreamError(.closed) }
        if watch != nil, watchesWriting || !forWriting { return }
        let interest: EpollEvents = forWriting ? .stream : .streamReading
        do {
            if let watch {
                try loop.modify(watch, for: interest)
            } else {
                let watch = Watch(fd, readiness)
                try loop.add(watch, for: interest)
                self.watch = watch
            }
            watchesWriting = forWriting
        } catch {
            // A regular file is always ready and epoll refuses it (EPERM): there is nothing to wait for.
            guard error.errno == .notPermitted else { throw StreamError(error) }
            readiness.mayRead = true
            readiness.mayWrite = true
        }
    }
}

/// Proof: handed once from a deinit to the loop's thread, and no other code has the watch after that.
private struct UncheckedParts: @unchecked Sendable {
    let watch: Watch
    let loop: EventLoop
    let fd: Int32
}
