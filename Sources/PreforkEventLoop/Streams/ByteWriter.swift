// Writing to a pipe or socket, no faster than the other side takes it.

public import PreforkSystem

/// The writing end of a pipe or socket.
///
/// A write returns when the kernel has taken every byte, so that a slow reader slows its writer down instead of
/// filling memory. On its event loop a write that fits is a plain call. Writes of several tasks do not mix: they
/// happen one after the other, in the order they were made.
///
/// If the reader is gone, a write throws `.peerClosed` (EPIPE), and no SIGPIPE is ever raised. A write that is
/// cancelled while it waits throws `CancellationError`. If a part of it is out already, later writes throw
/// `.writeAbandoned`, because what they mean depends on the missing rest.
///
/// Follows tornado's PipeIOStream / BaseIOStream (`write`).
public final class ByteWriter: @unchecked Sendable {
    // Sendable: everything mutable is touched on the channel's loop only, and each public operation goes there first.
    private let channel: StreamChannel
    private var isWriting = false
    private var isAbandoned = false
    private var isFinished = false
    // Unchecked exclusivity. Proof: each access is one call of the array's, which calls no code outside of it.
    @exclusivity(unchecked) private var waiting: [WaitSlot] = []

    init(_ channel: StreamChannel) {
        self.channel = channel
    }

    /// Takes over the writing end of a pipe, a terminal or a file, which becomes non-blocking.
    ///
    /// - Parameters:
    ///   - descriptor: closed by this object.
    ///   - loop: serves the writes. By default the caller's loop, or the shared one.
    public convenience init(adopting descriptor: Int32, on loop: EventLoop? = nil) throws(SystemError) {
        ignoreBrokenPipes()
        try setNonBlocking(descriptor)
        let loop = try EventLoop.chosen(loop)
        self.init(StreamChannel(owning: descriptor, kind: .init(of: descriptor), loop: loop))
    }

    /// Takes over a non-blocking descriptor of a known kind.
    package convenience init(owning descriptor: Int32, kind: StreamKind, on loop: EventLoop) {
        self.init(StreamChannel(owning: descriptor, kind: kind, loop: loop))
    }

    /// Writes all of `bytes`.
    public func write(_ bytes: [UInt8]) async throws {
        // The common case first and without a slice: on the loop, without another writer, and the kernel takes
        // everything.
        if channel.loop.isCurrent, !isWriting, waiting.isEmpty, !channel.hasHadItsTurn {
            try Task.checkCancellation()
            try checkUsable()
            let count = try bytes.withUnsafeBytes { bytes throws(StreamError) in try channel.write(bytes) }
            if count == bytes.count { return }
            return try await writeRest(of: bytes.dropFirst(count), hasBegun: count > 0)
        }
        try await write(bytes[...])
    }

    /// Writes what the kernel takes at once. On the loop only.
    ///
    /// - Returns: how many bytes were taken, or nil if other writes or other connections come first. `writeRest` must
    ///   follow at once for those that were not taken.
    package func writeNow(_ bytes: UnsafeRawBufferPointer) throws(StreamError) -> Int? {
        guard !isWriting, waiting.isEmpty, !channel.hasHadItsTurn else { return nil }
        try checkUsable()
        return try channel.write(bytes)
    }

    /// Writes all of `bytes`, which `writeNow` has left.
    ///
    /// - Parameter hasBegun: what the peer was told before has no meaning without these bytes: a write that is cancelled
    ///   is the last.
    package func writeRest(_ bytes: [UInt8], hasBegun: Bool) async throws {
        if isWriting || !waiting.isEmpty { try await waitForTurn() }
        try await writeRest(of: bytes[...], hasBegun: hasBegun)
    }

    /// Writes all of `text` as UTF-8.
    public func write(_ text: String) async throws {
        try await write(Array(text.utf8)[...])
    }

    /// Writes all of `bytes`.
    public func write(_ bytes: ArraySlice<UInt8>) async throws {
        guard channel.loop.isCurrent else {
            return try await channel.loop.run { _ in try await self.write(bytes) }
        }
        try Task.checkCancellation()
        if !isWriting, waiting.isEmpty, !channel.hasHadItsTurn {
            // The common case: the kernel takes everything at once, and no writer has to wait.
            try checkUsable()
            let count = try bytes.withUnsafeBytes { bytes throws(StreamError) in try channel.write(bytes) }
            if count == bytes.count { return }
            try await writeRest(of: bytes.dropFirst(count), hasBegun: count > 0)
        } else {
            if isWriting || !waiting.isEmpty { try await waitForTurn() }
            try await writeRest(of: bytes, hasBegun: false)
        }
    }

    /// Says that nothing more will be written: the other side reads the end. A socket's reading half stays open.
    ///
    /// Waits for writes that are under way. Later writes throw `.closed`.
    public func finish() async throws {
        guard channel.loop.isCurrent else {
            return try await channel.loop.run { _ in try await self.finish() }
        }
        if isWriting || !waiting.isEmpty {
            try await waitForTurn()
            passTurn()
        }
        guard !isFinished else { return }
        isFinished = true
        switch channel.kind {
        case .socket: try channel.shutDown(.writing)
        case .terminal:
            // A terminal has no end that could be closed. A program that reads lines from it takes VEOF for one.
            defer { channel.close() }
            let endOfTransmission: [UInt8] = [4]
            while try endOfTransmission.withUnsafeBytes({ bytes throws(StreamError) in try channel.write(bytes) }) == 0
            {
                try await channel.waitUntilWritable()
            }
        case .pipe, .other: channel.close()
        }
    }

    /// Closes the descriptor. Writes that wait throw `.closed`.
    public func close() {
        let channel = channel
        channel.loop.execute { channel.close() }
    }

    /// Calls `body` once, on the loop, when the other side has closed or this side was closed. Late registration
    /// still calls it.
    public func onClose(_ body: @escaping @Sendable () -> Void) {
        let channel = channel
        channel.loop.execute { try? channel.onClose(body) }
    }

    /// From now on writes wait, until the end of the hold.
    ///
    /// - Returns: false if a write is under way, or none can follow.
    func holdForMove() -> Bool {
        guard !isWriting, waiting.isEmpty, !isAbandoned, !isFinished else { return false }
        isWriting = true
        return true
    }

    func endHoldForMove() { passTurn() }

    private func checkUsable() throws(StreamError) {
        if isAbandoned { throw StreamError(.writeAbandoned) }
        if isFinished { throw StreamError(.closed) }
    }

    /// Writes with the turn held, then passes it on.
    private func writeRest(of bytes: ArraySlice<UInt8>, hasBegun: Bool) async throws {
        isWriting = true
        defer { passTurn() }
        try checkUsable()
        var rest = bytes
        var hasBegun = hasBegun
        do {
            while true {
                if channel.hasHadItsTurn { try await channel.giveTurn(to: channel.writers) }
                let count = try rest.withUnsafeBytes { bytes throws(StreamError) in try channel.write(bytes) }
                rest = rest.dropFirst(count)
                if rest.isEmpty { return }
                hasBegun = hasBegun || count > 0
                try await channel.waitUntilWritable()
            }
        } catch is CancellationError {
            isAbandoned = hasBegun
            throw CancellationError()
        }
    }

    /// Waits until the writes made before this one are done. The turn is passed on with `isWriting` still set, so that
    /// no later write slips in between.
    private func waitForTurn() async throws {
        let slot = WaitSlot(loop: channel.loop)
        waiting.append(slot)
        let outcome = await slot.wait()
        if outcome == .ready { return }
        if let index = waiting.firstIndex(where: { $0 === slot }) {
            waiting.remove(at: index)
        } else {
            // The turn came at the same moment as the cancellation, and another writer needs it.
            passTurn()
        }
        throw CancellationError()
    }

    private func passTurn() {
        isWriting = false
        guard !waiting.isEmpty else { return }
        isWriting = true
        waiting.removeFirst().resume(.ready)
    }
}
