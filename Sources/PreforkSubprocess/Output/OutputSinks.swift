// The destinations of a subprocess's outputs, and their completion.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// One output on its way. On the loop only.
protocol OutputSink: AnyObject {
    /// Whether nothing more will come.
    var hasEnded: Bool { get }
    func begin(onEnd: @escaping () -> Void)
    /// Takes what waits in the kernel, without an event.
    func takeWaitingBytes()
    /// Takes what waits in the kernel and ends, whichever process could still write.
    func endWithWaitingBytes()
    /// Gives up output that a slow reader has not taken.
    func giveUpSlowReaders()
}

/// A stream that the user reads. It ends by itself when the last writer goes.
private final class StreamSink: OutputSink {
    private weak var reader: ByteReader?

    init(_ reader: ByteReader) {
        self.reader = reader
    }

    var hasEnded: Bool { reader?.isWriterGone ?? true }
    func begin(onEnd: @escaping () -> Void) { onEnd() }
    func takeWaitingBytes() {}
    func endWithWaitingBytes() { reader?.endAfterWaitingBytes() }
    func giveUpSlowReaders() {}
}

/// The outputs of one subprocess.
final class OutputSinks: @unchecked Sendable {
    // Sendable: `completion` has a lock. The rest is touched on the loop only, except `collected` when complete.
    private struct Completion {
        var isComplete = false
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    private let watched: WatchedChild
    private let lingering: Command.Lingering
    /// When the command's timeout is over: it bounds the wait for grandchildren, too.
    private let deadline: MonotonicInstant?
    private(set) var collected: [Int32: Collected] = [:]
    private var sinks: [any OutputSink] = []
    private var unfinished = 0
    private var lingeringCall: ScheduledCall?
    private let completion = Mutex(Completion())

    init(of watched: WatchedChild, lingering: Command.Lingering, deadline: MonotonicInstant?) {
        self.watched = watched
        self.lingering = lingering
        self.deadline = deadline
    }

    /// Takes over the descriptors of an output. Before `begin`.
    ///
    /// - Parameter onOverflow: the command must be stopped.
    /// - Returns: the reader for the user, if the output is a stream.
    func connect(_ outlet: Plumbing.Outlet, _ number: Int32, onOverflow: @escaping () -> Void) -> ByteReader? {
        let loop = watched.loop
        for case .collect(let limit, let overflow) in outlet.targets {
            collected[number] = Collected(limit: limit, overflow: overflow)
        }
        if case .collect = outlet.targets.first, outlet.targets.count == 1, let memory = collected[number] {
            sinks.append(PipeCollector(owning: outlet.reading, into: memory, on: loop, onOverflow: onOverflow))
            return nil
        }
        let reader = ByteReader(owning: outlet.reading, kind: outlet.kind, on: loop)
        if case .stream = outlet.targets.first {
            sinks.append(StreamSink(reader))
            return reader
        }
        let writers = outlet.targets.compactMap { target in
            if case .write(let fd, let kind) = target { ByteWriter(owning: fd, kind: kind, on: loop) } else { nil }
        }
        sinks.append(Tee(reader, to: writers, and: collected[number], on: loop, onOverflow: onOverflow))
        return outlet.streamReading.map { ByteReader(owning: $0, kind: .pipe, on: loop) }
    }

    /// Begins to read. Runs on the loop.
    func begin() {
        unfinished = sinks.count + 1
        for sink in sinks { sink.begin { [self] in finishOne() } }
        watched.onReaped { [self] in
            childIsGone()
            finishOne()
        }
    }

    /// The child's output is in the pipes. `lingering` decides about further output.
    private func childIsGone() {
        for sink in sinks { sink.takeWaitingBytes() }
        guard sinks.contains(where: { !$0.hasEnded }) else { return }
        let wasStopped = watched.exit?.reason != .own
        guard let time = timeToLinger(wasStopped: wasStopped) else { return }
        if time <= .zero { return end(givingUp: wasStopped) }
        lingeringCall = watched.loop.call(after: time) { [self] in end(givingUp: wasStopped) }
    }

    /// A caller that has stopped the command, or set a timeout, does not wait for its grandchildren any longer.
    private func timeToLinger(wasStopped: Bool) -> Duration? {
        switch lingering {
        case .afterExit(let time): time
        case .untilEnd: wasStopped ? .milliseconds(200) : deadline.map { $0 - .now }
        }
    }

    private func end(givingUp: Bool) {
        for sink in sinks where !sink.hasEnded { sink.endWithWaitingBytes() }
        guard givingUp else { return }
        // Readers that are merely busy still get what came last.
        watched.loop.call(after: .milliseconds(200)) { [self] in
            for sink in sinks where !sink.hasEnded { sink.giveUpSlowReaders() }
        }
    }

    /// The caller does not want to wait any longer. Runs on the loop.
    func giveUpIfChildIsGone() {
        if watched.exit != nil { end(givingUp: true) }
    }

    /// More has come than the limit of the collected output, and the command must be stopped for it.
    func overflow(_ stopPlan: StopPlan) {
        if watched.exit == nil { watched.stop(stopPlan, reason: .outputLimit) } else { end(givingUp: false) }
    }

    private func finishOne() {
        unfinished -= 1
        guard unfinished == 0 else { return }
        if !sinks.contains(where: { $0 is StreamSink }) { lingeringCall?.cancel() }
        let waiters = completion.withLock { completion in
            completion.isComplete = true
            defer { completion.waiters = [] }
            return completion.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until the child is gone and everything that is collected or copied is complete. From any thread.
    func waitUntilComplete() async {
        await withUnsafeContinuation { waiter in
            let isComplete = completion.withLock { completion in
                if !completion.isComplete { completion.waiters.append(waiter) }
                return completion.isComplete
            }
            if isComplete { waiter.resume() }
        }
    }
}
