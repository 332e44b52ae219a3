// How frames go out: at once if the kernel takes them, and together where several answers are due.

import PreforkEventLoop
import PreforkSystem

extension WebSocket {
    /// So much may wait for messages that have arrived and were not taken.
    private static let gatheredLimit = 8 * 1024

    /// Puts a frame behind the output and sends that.
    ///
    /// - Parameter mayWait: for the answers to further messages of the peer that are there already.
    /// - Returns: false if `sendRest` must follow at once.
    func sendNow(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, mayWait: Bool) throws -> Bool {
        let count = WebSocketFrameHead.maxLength + payload.count
        if output.room < count { output.makeRoom(for: count, from: loop) }
        let mask = role == .client ? WebSocketMask(SIMD4.random(in: .min ... .max)) : nil
        output.append { WebSocketFrameHead.write(opcode, mask: mask, payload, to: $0) }
        // Not while a task waits for bytes: the connection may move then, and what has returned must be sent.
        guard mayWait, !isReading, output.count <= Self.gatheredLimit, connection.reader.bufferedCount > 0, writes == 0
        else {
            return try flushNow()
        }
        isOutputOwed = true
        if !isFlushDue {
            isFlushDue = true
            loop.atTurnEnd(self)
        }
        return true
    }

    /// Gives the kernel what it takes of the output.
    ///
    /// - Returns: whether that is all. If not, `sendRest` must follow at once.
    func flushNow() throws -> Bool {
        do throws(StreamError) {
            guard let count = try connection.writer.writeNow(output.bytes) else { return false }
            output.removeFirst(count)
            if output.count == 0 {
                output.releaseIfEmpty(to: loop)
                isOutputOwed = false
                return true
            }
            if count > 0 { isOutputOwed = true }
            return false
        } catch {
            discardOutput()
            lose(error)
            try checkOpen()
            return true
        }
    }

    /// Sends the output, when the peer takes it.
    func sendRest() async throws {
        let (bytes, isOwed) = (Array(output.bytes), isOutputOwed)
        discardOutput()
        writes += 1
        watchWrites()
        defer { writes -= 1 }
        do {
            try await connection.writer.writeRest(bytes, hasBegun: isOwed)
        } catch let error as StreamError {
            lose(error)
            try checkOpen()
        }
    }

    func write(_ opcode: WebSocketOpcode, _ payload: [UInt8]) async throws {
        try Task.checkCancellation()
        if try !payload.withUnsafeBytes({ try sendNow(opcode, $0, mayWait: false) }) { try await sendRest() }
    }

    private func discardOutput() {
        output.removeAll()
        output.releaseIfEmpty(to: loop)
        isOutputOwed = false
    }
}

extension WebSocket: TurnEndObserver {
    package func turnEnds() {
        isFlushDue = false
        // A connection that is lost has its end from `flushNow`.
        guard output.count > 0, flushing == nil, (try? flushNow()) == false else { return }
        flushing = Task(executorPreference: loop.preference) { [self] in
            if output.count > 0 { try? await sendRest() }
            flushing = nil
        }
    }
}
