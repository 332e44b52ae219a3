// Output that is kept in memory: its bytes, and what reads them from a pipe.

import PreforkEventLoop
import PreforkSystem

/// Reads a pipe into a `Collected`, by events and without a task. On the loop only.
final class PipeCollector: OutputSink {
    private let fd: Int32
    private let loop: EventLoop
    private let collected: Collected
    private let onOverflow: () -> Void
    private var watch: Watch?
    private(set) var hasEnded = false
    private var onEnd: (() -> Void)?
    private static let chunkSize = 64 * 1024

    /// Takes over `fd`, which is non-blocking.
    init(owning fd: Int32, into collected: Collected, on loop: EventLoop, onOverflow: @escaping () -> Void) {
        self.fd = fd
        self.loop = loop
        self.collected = collected
        self.onOverflow = onOverflow
    }

    func begin(onEnd: @escaping () -> Void) {
        self.onEnd = onEnd
        let watch = Watch(fd) { [self] _ in readSome() }
        do {
            try loop.add(watch, for: .readable)
            self.watch = watch
        } catch {
            // epoll has no room (epoll_ctl(2), ENOSPC): ask now and then.
            readAgainAndAgain()
        }
    }

    private func readAgainAndAgain() {
        readSome()
        if !hasEnded { loop.call(after: .milliseconds(10)) { [self] in readAgainAndAgain() } }
    }

    func takeWaitingBytes() {
        if !hasEnded { readSome() }
    }

    /// A bounded part of what there is: others have their turn in between.
    private func readSome() {
        for _ in 0..<16 {
            guard !hasEnded, readOnce(atMost: Self.chunkSize) != nil else { return }
        }
    }

    func endWithWaitingBytes() {
        guard !hasEnded else { return }
        var rest = waitingByteCount(fd)
        // The receiver of an overflow may end this meanwhile, and the descriptor's number may belong to another file by
        // now.
        while rest > 0, !hasEnded, let count = readOnce(atMost: rest) { rest -= count }
        end()
    }

    func giveUpSlowReaders() {}

    /// - Returns: how many bytes came, or nil if there are no bytes now, or no more at all.
    private func readOnce(atMost limit: Int) -> Int? {
        do {
            switch try collected.isTruncated ? discard(atMost: limit) : collect(atMost: limit) {
            case .bytes(let count): return count
            case .end: end()
            case .wouldBlock: break
            }
        } catch {
            // A pipe that cannot be read gives nothing more. What it gave is kept.
            end()
        }
        return nil
    }

    private func collect(atMost limit: Int) throws(SystemError) -> ReadOutcome {
        let space = UnsafeMutableRawBufferPointer(rebasing: collected.space().prefix(limit))
        let outcome = try readBytes(from: fd, into: space)
        if case .bytes(let count) = outcome, !collected.commit(count), collected.overflow == .stop { onOverflow() }
        return outcome
    }

    /// Reads and discards: a command whose output is never read would never end.
    private func discard(atMost limit: Int) throws(SystemError) -> ReadOutcome {
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: min(limit, Self.chunkSize), alignment: 16)
        defer { scratch.deallocate() }
        return try readBytes(from: fd, into: scratch)
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        if let watch { loop.remove(watch) }
        watch = nil
        closeDescriptor(fd)
        onEnd?()
        onEnd = nil
    }
}

/// The first bytes of an output, up to a limit. Used on the loop until the output is complete, then by any caller.
final class Collected {
    private let limit: Int
    let overflow: Command.Overflow
    private(set) var isTruncated = false
    private var memory: UnsafeMutableRawPointer?
    private var capacity = 0
    private var count = 0

    init(limit: Int, overflow: Command.Overflow) {
        self.limit = min(limit, .max - 1)
        self.overflow = overflow
    }

    deinit {
        memory?.deallocate()
    }

    var bytes: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: memory, count: count)) }

    /// Room for more, at least one byte: up to the limit, and one byte beyond it to see that it is exceeded.
    /// Must not be called when the output is truncated.
    func space() -> UnsafeMutableRawBufferPointer {
        if count == capacity { grow() }
        return UnsafeMutableRawBufferPointer(start: memory.map { $0 + count }, count: capacity - count)
    }

    /// Memory follows what has really come, whatever the limit is: 16 KiB, then twice as much each time.
    private func grow() {
        let larger = min(max(16 * 1024, capacity * 2), limit + 1)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        if let memory {
            grown.copyMemory(from: memory, byteCount: count)
            memory.deallocate()
        }
        memory = grown
        capacity = larger
    }

    /// Counts bytes that were written into `space`.
    ///
    /// - Returns: false when they exceed the limit: what is beyond it is dropped, and so is all that follows.
    func commit(_ added: Int) -> Bool {
        count += added
        guard count > limit else { return true }
        count = limit
        isTruncated = true
        return false
    }

    /// Takes a copy of bytes. The result is the one `commit` returns.
    func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let space = space()
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(space.count))
            space.copyMemory(from: part)
            guard commit(part.count) else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
        }
        return true
    }
}
