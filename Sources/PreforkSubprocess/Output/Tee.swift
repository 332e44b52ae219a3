// One output to several places.

import PreforkEventLoop
import PreforkSystem

/// Copies what a reader brings to writers and into memory, until the end. On the loop only.
final class Tee: OutputSink, @unchecked Sendable {
    // Sendable: touched on the loop's thread only. Its task runs there.
    private let reader: ByteReader
    private var writers: [ByteWriter]
    private let collected: Collected?
    private let loop: EventLoop
    private let onOverflow: () -> Void
    private(set) var hasEnded = false

    init(
        _ reader: ByteReader, to writers: [ByteWriter], and collected: Collected?, on loop: EventLoop,
        onOverflow: @escaping () -> Void
    ) {
        self.reader = reader
        self.writers = writers
        self.collected = collected
        self.loop = loop
        self.onOverflow = onOverflow
    }

    func begin(onEnd: @escaping () -> Void) {
        let callback = OnLoop(onEnd)
        Task(executorPreference: loop.preference) { [self] in
            await copy()
            loop.execute { [self] in
                hasEnded = true
                callback.call()
            }
        }
    }

    /// A broken writer is left out. A slow one delays the others, and the command.
    private func copy() async {
        // A read that fails has no more data. This task is never cancelled.
        while let chunk = try? await reader.read(atMost: 64 * 1024) {
            if let collected, !collected.isTruncated, !chunk.withUnsafeBytes(collected.append),
                collected.overflow == .stop
            {
                onOverflow()
            }
            for writer in writers {
                do { try await writer.write(chunk) } catch { writers.removeAll { $0 === writer } }
            }
        }
        for writer in writers { writer.close() }
        reader.close()
    }

    /// The task reads by itself.
    func takeWaitingBytes() {}

    func endWithWaitingBytes() {
        reader.endAfterWaitingBytes()
    }

    /// A write that waits throws, and collecting continues to the end.
    func giveUpSlowReaders() {
        for writer in writers { writer.close() }
    }
}

/// A callback that travels with a task and is called on the loop.
// Proof: made and called on the loop's thread.
private struct OnLoop: @unchecked Sendable {
    let call: () -> Void

    init(_ call: @escaping () -> Void) {
        self.call = call
    }
}
