// Serving with connections that other workers have had.

import PreforkCBOR
public import PreforkSystem

extension Listener {
    /// As `serve(limit:report:_:)`, with connections that outlive this worker: on a reload, an upgrade, or where a worker is
    /// replaced otherwise, connections whose handlers wait in `ByteReader.waitForMessage` go to the worker that follows,
    /// with what was read and not consumed, and with their state. Their peers notice nothing.
    ///
    /// The state is what `Connection.handoverState` has given. A connection without it is drained, as one is whose handler
    /// does not wait there until `PREFORK_MOVE_TIMEOUT` is over. Both handlers set it.
    ///
    /// ```swift
    /// try await listener.serve(resuming: { connection, state in
    ///     try await serveLines(connection, from: state)
    /// }) { connection in
    ///     try await serveLines(connection, from: LineState(lines: 0))
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - limit: as there, for connections of both kinds.
    ///   - report: as there.
    ///   - handoverVersions: of the state. This program writes the last one, and reads all of them. A state of another version,
    ///     or one that cannot be decoded, stays with the old worker, which drains its connection. Each is within
    ///     0...4294967295.
    ///   - resuming: serves a connection that another worker has had.
    ///   - handler: serves a connection that was accepted here.
    /// - Throws: as there. EINVAL, too, for a version out of range.
    public func serve<State: Decodable & Sendable>(
        limit: Int = 10_000,
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) },
        handoverVersions: ClosedRange<Int> = 1...1,
        resuming: @escaping @Sendable (Connection, State) async throws -> Void,
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws {
        let versions = try Self.versions(handoverVersions)
        let resumption = ConnectionResumption(name: "stream", versions: versions) { handed in
            let state = try CBORCodec().decode(State.self, from: handed.state)
            return { connection in try await resuming(connection, state) }
        }
        try await serve(limit: limit, report: report, resumption: resumption, handler)
    }

    /// As `serve(limit:report:handoverVersions:resuming:_:)`, for handlers without a state: every connection whose handler
    /// waits between two messages goes to the next worker.
    ///
    /// - Parameters:
    ///   - limit: as there.
    ///   - report: as there.
    ///   - resuming: serves a connection that another worker has had.
    ///   - handler: serves a connection that was accepted here.
    public func serve(
        limit: Int = 10_000,
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) },
        resuming: @escaping @Sendable (Connection) async throws -> Void,
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws {
        let resumption = ConnectionResumption(name: "plain stream", versions: 1...1, movesWithoutState: true) { _ in
            resuming
        }
        try await serve(limit: limit, report: report, resumption: resumption, handler)
    }

    private static func versions(_ range: ClosedRange<Int>) throws(SystemError) -> ClosedRange<UInt32> {
        guard let first = UInt32(exactly: range.lowerBound), let last = UInt32(exactly: range.upperBound) else {
            throw SystemError("serve", .invalidArgument, on: "handover versions \(range)")
        }
        return first...last
    }
}
