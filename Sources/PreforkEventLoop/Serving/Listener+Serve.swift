// Accepting connections and running a handler for each.

public import PreforkSystem

/// What a server reports while it serves on.
public enum ServingEvent: Sendable {
    /// Accepting failed for lack of descriptors or memory. It continues after a pause.
    case acceptPaused(SystemError)
    /// The first connection after such a pause was accepted without a new shortage.
    case acceptResumed
    /// Another process with this listener had made it blocking, or shut it down. The listener is repaired. Reported at
    /// most once a minute.
    case listenerRepaired
    /// A handler threw. Its connection is closed.
    case handlerFailed(any Error, peer: SocketAddress)
    /// A handler threw for one request, of which the client was told no more than that it failed.
    ///
    /// - request: method and path, or what else names it, without anything that only its client may know.
    case requestFailed(any Error, request: String, peer: SocketAddress)
}

extension Listener {
    /// Accepts connections and runs `handler` for each, as a separate task on this loop. The connection is closed when
    /// its handler returns or throws.
    ///
    /// Ends when a stop is requested (in a worker, by the supervisor): no connection is accepted any more, connections
    /// between messages are ended (`ByteReader.waitForMessage`), and the call returns when the last handler has.
    /// Cancelling the calling task cancels the handlers and throws `CancellationError`.
    ///
    /// A shortage of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) pauses accepting for 100 ms or until a
    /// connection has ended. With EMFILE one connection is still taken, in the place of a descriptor that is kept for
    /// it, since the kernel may have announced it to no other worker. Connections that were gone before they were
    /// accepted (ECONNABORTED) are skipped.
    ///
    /// - Parameters:
    ///   - limit: how many connections may be open at a time, above zero. More wait in the backlog.
    ///   - report: called on the loop for each event. By default a line on standard error.
    ///   - handler: serves one connection.
    /// - Throws: `SystemError` if the listener itself fails, for example because it was closed. EINVAL for a limit that
    ///   is not above zero.
    public func serve(
        limit: Int = 10_000,
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) },
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws {
        try await serve(limit: limit, report: report, resumption: nil, handler)
    }

    /// As `serve(limit:report:_:)`, for the server of a protocol whose connections move.
    ///
    /// - Parameter resumption: how it goes on with them. If nil, they neither move from here nor come here.
    package func serve(
        limit: Int, report: @escaping @Sendable (ServingEvent) -> Void, resumption: ConnectionResumption?,
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws {
        // The limit may come from a configuration.
        guard limit > 0 else { throw SystemError("serve", .invalidArgument, on: "a limit of \(limit) connections") }
        let loop = try EventLoop.chosen()
        guard loop.isCurrent else {
            return try await loop.run { _ in try await self.serve(limit: limit, report: report, resumption: resumption, handler) }
        }
        let acceptor = try Acceptor(self, loop: loop, limit: limit, resumption: resumption, report: report)
        beginServing()
        acceptor.beginTaking()
        var isAccepting = true
        defer { if isAccepting { endServing(isOver: false) } }
        loop.onServing?(self, false)
        loop.beginsToAccept()
        defer {
            acceptor.endTaking()
            acceptor.close()
            StandardErrorLines.tellAllLeftOut()
        }
        let observer = loop.stopRequest.onReach { loop.execute { acceptor.drain() } }
        defer { loop.stopRequest.removeObserver(observer) }
        // Another loop than this one may receive the process's stop.
        let processStop = StopObservation {
            loop.execute { if !loop.stopRequest.isRequested { acceptor.drain() } }
        }
        defer { withExtendedLifetime(processStop) {} }
        try await withThrowingDiscardingTaskGroup { group in
            let preference = loop.preference
            while let (connection, resuming) = try await acceptor.next() {
                let body = resuming ?? handler
                let work: @isolated(any) @Sendable () async -> Void = {
                    do {
                        connection.channel.mark?.begin()
                        try await connection.channel.ownedByCurrentTask { try await body(connection) }
                    } catch {
                        acceptor.handlerFailed(error, connection)
                    }
                    acceptor.ended(connection)
                }
                // Two calls: see `EventLoop.run`.
                if let preference {
                    group.addTask(executorPreference: preference, operation: work)
                } else {
                    group.addTask(operation: work)
                }
            }
            isAccepting = false
            endServing(isOver: loop.stopRequest.reach == .service)
        }
        try Task.checkCancellation()
    }
}

/// The default of `serve`: a line on standard error for each event, one a second for each kind with the number that was
/// left out. Clients that disconnect cause no line, because that is their right.
///
/// Peers and errors are text of others: nothing in them ends the line or commands a terminal.
@Sendable
public func reportToStandardError(_ event: ServingEvent) {
    let (kind, level, text): (String, String, String)
    switch event {
    case .acceptPaused(let error): (kind, level, text) = ("paused", "warning", "accepting is paused: \(error)")
    case .acceptResumed: (kind, level, text) = ("resumed", "info", "accepting again")
    case .listenerRepaired:
        text = "another process made a listener blocking or shut it down: repaired"
        (kind, level) = ("repaired", "warning")
    case .handlerFailed(let error, let peer):
        if isOfPeersRight(error) { return }
        (kind, level, text) = ("failed \(type(of: error))", "error", "the handler of \(peer) failed: \(error)")
    case .requestFailed(let error, let request, let peer):
        if isOfPeersRight(error) { return }
        (kind, level) = ("failed \(type(of: error))", "error")
        text = "\(request) of \(peer) failed: \(error)"
    }
    let pause = StandardErrorLines.say(level, text, by: kind)
    if let pause, let loop = EventLoop.current, loop.isCurrent { tellLeftOut(after: pause, on: loop) }
}

private func isOfPeersRight(_ error: any Error) -> Bool {
    (error as? StreamError).map { [.peerClosed, .endOfStream].contains($0.code) } ?? false
}

/// Left-out lines are reported if no further line reports them.
private func tellLeftOut(after pause: Duration, on loop: EventLoop) {
    loop.call(after: pause) {
        if let next = StandardErrorLines.tellSettled() { tellLeftOut(after: next, on: loop) }
    }
}
