// The output of a supervisor's children on its way into the log.

import PreforkSystem

/// Reads what children write to their `OutputPipe`s and says it line by line.
///
/// A child waits for room only while the supervisor is stopped, or when children write more than it can throw away (25
/// MiB/s of one, 100 MiB/s of all). Output above an `OutputAllowance` is thrown away and counted. One turn reads at
/// most 1 MiB and says at most `linesOfTurn`, or 16 KiB in longer lines: what is left of a read waits in the stream's
/// `Backlog` for the next turn. A child that writes often is read every 10 ms instead of at each write.
///
/// It waits by its own epoll, whose number its owner watches.
final class OutputCollector: DescriptorHolder {
    /// The size of one read: of a stream in a turn, and of a stream that is read by time.
    static let readLimit = 64 << 10
    static let readsAtOnce = 4
    static let turnLimit = 1 << 20
    /// Short lines, as are the following two. See `OutputLines.shortLine`.
    static let linesOfTurn = 256
    /// Of children that end or crash between two turns, together: their successors wait for it.
    static let linesOfEnds = 1024
    /// Of all streams together, when nothing turns this object any more.
    static let linesOfFinish = 1 << 14
    static let pause = Duration.milliseconds(10)
    /// So many looks without news, and the child is heard at each write again.
    private static let quietLooks = 10
    /// Streams whose child has ended, but which a process that it started keeps open.
    static let mostOrphans = 16
    private static let lostPeriod = Duration.seconds(1)

    final class Stream {
        let number: UInt64
        fileprivate(set) var owner: OutputOwner
        var pid: Int32 = 0
        /// If nil, it is over.
        var pipe: OutputPipe?
        var lines = OutputLines()
        var backlog = Backlog()
        var allowance: OutputAllowance
        var rate = RingRate()
        var mayHaveMore = false
        var isPaced = false
        var quietLooks = 0
        /// When the amount of discarded output is reported.
        var lostDue: MonotonicInstant?

        init(_ number: UInt64, of owner: OutputOwner, _ pipe: OutputPipe, at now: MonotonicInstant) {
            self.number = number
            self.owner = owner
            self.pipe = pipe
            allowance = OutputAllowance(OutputAllowance.ofChild, at: now)
        }

        /// Nothing comes any more, and nothing waits.
        var isOver: Bool { pipe == nil && backlog.isEmpty }

        var lastWords: LastWords {
            backlog.withBytes { lines.lastWords(before: $0, pid: pid, name: owner.name) }
        }
    }

    /// What was read and is not said yet.
    struct Backlog {
        private var bytes: [UInt8] = []
        private var start = 0

        var isEmpty: Bool { start == bytes.count }

        mutating func append(_ new: UnsafeRawBufferPointer) { bytes.append(contentsOf: new) }

        mutating func drop(_ count: Int) {
            start += count
            if isEmpty { self = Backlog() }
        }

        func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
            bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        }
    }

    /// The writing end for a child that is about to be forked.
    struct Writing {
        let number: Int32
        let includesStandardOutput: Bool

        /// In the child.
        func redirect() throws(SystemError) {
            try redirectOutput(to: number, includingStandardOutput: includesStandardOutput)
        }
    }

    let mode: OutputCapture
    private let epoll: Epoll
    private var events = EpollEventBuffer(capacity: 64)
    /// By the word of their events.
    private var streams: [UInt64: Stream] = [:]
    /// The stream of each child that lives, by a key of the owner's.
    private var current: [UInt64: Stream] = [:]
    private var orphans: [Stream] = []
    private var lastStream: UInt64 = 0
    private var pacedLook: MonotonicInstant?
    /// When `turn` has something to do without an event.
    private(set) var nextLook: MonotonicInstant?
    private var all: OutputAllowance
    private var roomOfEnds = linesOfEnds
    /// What was thrown away and told, of all streams so far.
    var told = OutputLines.Lost()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readLimit, alignment: 16)
    let say: (LogLine, LogCause) -> Void

    init(_ mode: OutputCapture, at now: MonotonicInstant, say: @escaping (LogLine, LogCause) -> Void)
        throws(SystemError)
    {
        self.mode = mode
        self.say = say
        all = OutputAllowance(OutputAllowance.ofAll, at: now)
        epoll = try Epoll()
        DescriptorHolders.add(self)
    }

    deinit {
        buffer.deallocate()
    }

    /// What was thrown away so far.
    var lost: OutputLines.Lost { streams.values.reduce(into: told) { $0.add($1.lines.lost) } }

    /// What the owner watches, for `EpollEvents.readable`.
    var epollNumber: Int32 { epoll.descriptor.number }

    var heldDescriptors: [HeldDescriptor] {
        [HeldDescriptor(.epoll, epollNumber)]
            + streams.values.compactMap { $0.pipe.map { HeldDescriptor(.capturedOutput, $0.number) } }
    }

    // Streams of children

    /// Before the fork of a child.
    ///
    /// - Parameter kind: a socket for a child that will have fewer rights than this process.
    /// - Returns: nil when no descriptor is left: the child keeps standard error as it is.
    func add(_ key: UInt64, of owner: OutputOwner, _ kind: OutputPipe.Kind, at now: MonotonicInstant) -> Writing? {
        guard let (reading, writing) = try? OutputPipe.make(kind) else { return nil }
        guard insert(key, owner, reading, at: now) != nil else {
            closeDescriptor(writing)
            return nil
        }
        return Writing(number: writing, includesStandardOutput: mode == .on)
    }

    /// Takes over a stream of the previous image.
    func inherit(_ key: UInt64, of owner: OutputOwner, pid: Int32, _ pipe: OutputPipe, at now: MonotonicInstant) {
        guard let stream = insert(key, owner, pipe, at: now) else { return }
        stream.pid = pid
        // What was written during the change of images is no news to this epoll.
        stream.mayHaveMore = true
        plan(at: now)
    }

    private func insert(_ key: UInt64, _ owner: OutputOwner, _ pipe: OutputPipe, at now: MonotonicInstant) -> Stream? {
        lastStream += 1
        do throws(SystemError) { try epoll.add(pipe.number, .readableOnce, word: lastStream) } catch { return nil }
        let stream = Stream(lastStream, of: owner, pipe, at: now)
        streams[lastStream] = stream
        current[key] = stream
        return stream
    }

    /// The child was forked.
    func began(_ key: UInt64, pid: Int32, _ writing: Writing?) {
        if let writing { closeDescriptor(writing.number) }
        current[key]?.pid = pid
        current[key]?.pipe?.grow()
    }

    /// The child has another owner from here on, which knows it by another key.
    func rename(_ key: UInt64, to other: UInt64, of owner: OutputOwner) {
        guard let stream = current.removeValue(forKey: key) else { return }
        stream.owner = owner
        current[other] = stream
    }

    /// The child could not be forked.
    func cancel(_ key: UInt64, _ writing: Writing?) {
        if let writing { closeDescriptor(writing.number) }
        guard let stream = current.removeValue(forKey: key) else { return }
        close(stream)
        streams[stream.number] = nil
    }

    /// The reading end of a living child's stream.
    func pipe(of key: UInt64) -> OutputPipe? { current[key]?.pipe }

    /// What a child has said up to now. It has crashed: what follows is a backtracer's.
    ///
    /// - Returns: nil when its output is not captured.
    func wordsSoFar(of key: UInt64, at now: MonotonicInstant) -> LastWords? {
        guard let stream = current[key] else { return nil }
        defer { plan(at: now) }
        refill(stream, at: now)
        readRest(of: stream, room: &roomOfEnds)
        return stream.lastWords
    }

    /// The child has ended: reads what it has left.
    ///
    /// - Returns: nil when its output was not captured.
    func end(_ key: UInt64, at now: MonotonicInstant) -> LastWords? {
        guard let stream = current.removeValue(forKey: key) else { return nil }
        defer { plan(at: now) }
        refill(stream, at: now)
        readRest(of: stream, room: &roomOfEnds)
        let words = stream.lastWords
        if stream.backlog.isEmpty { endLine(of: stream) }
        if stream.isOver {
            streams[stream.number] = nil
        } else {
            // A process that the child has started may still write, or there is more than was said now.
            orphans.append(stream)
            if orphans.count > Self.mostOrphans { forget(orphans[0]) }
        }
        return words
    }

    /// Reads what waits in all streams, and gives up the streams of children that have ended, because this object's
    /// loop does not turn for a while, or ever again. The next image inherits the streams of living workers.
    func finish(at now: MonotonicInstant) {
        var room = Self.linesOfFinish
        for stream in streams.values.sorted(by: { $0.number < $1.number }) {
            refill(stream, at: now)
            readRest(of: stream, room: &room)
            endLine(of: stream)
        }
        for stream in orphans { forget(stream) }
        plan(at: now)
    }

    /// At most what fits into the pipe, so that a process which outlives the child cannot keep it here.
    private func readRest(of stream: Stream, room: inout Int) {
        for _ in 0..<OutputPipe.capacity / Self.readLimit {
            if readOnce(stream, room: &room) == 0 { break }
        }
        takeBacklog(of: stream, room: &room)
    }

    /// What waits to be logged is lost, and the loss is reported.
    private func endLine(of stream: Stream) {
        if !stream.backlog.isEmpty {
            let backlog = stream.backlog
            backlog.withBytes { stream.lines.lose($0) }
            stream.backlog = Backlog()
        }
        stream.lines.end(own: &stream.allowance, all: &all) { tell($0, of: stream) }
        tellLost(stream)
    }

    private func forget(_ stream: Stream) {
        endLine(of: stream)
        close(stream)
        streams[stream.number] = nil
        orphans.removeAll { $0 === stream }
    }

    private func close(_ stream: Stream) {
        guard let pipe = stream.pipe else { return }
        epoll.remove(pipe.number)
        stream.pipe = nil
        stream.mayHaveMore = false
        stream.isPaced = false
    }

    // Turns

    /// Kept, because it is asked for at each turn of the owner's, and there may be thousands of streams.
    private func plan(at now: MonotonicInstant) {
        var next = pacedLook
        for stream in streams.values {
            if stream.mayHaveMore && !stream.isPaced || !stream.backlog.isEmpty {
                nextLook = now
                return
            }
            if let due = stream.lostDue { next = min(next ?? due, due) }
        }
        nextLook = next
    }

    /// Reads and says what has come.
    ///
    /// - Parameter hasNews: `epollNumber` was readable.
    func turn(hasNews: Bool, at now: MonotonicInstant) {
        roomOfEnds = Self.linesOfEnds
        guard hasNews || nextLook.map({ $0 <= now }) == true else { return }
        defer { plan(at: now) }
        if hasNews { hear(at: now) }
        if let look = pacedLook, look <= now {
            pacedLook = nil
            for stream in streams.values where stream.isPaced { stream.mayHaveMore = true }
        }
        var (rest, room) = (Self.turnLimit, Self.linesOfTurn)
        // In another order each time: the first ones could use up all of the turn.
        let waiting = streams.values.filter { $0.mayHaveMore || !$0.backlog.isEmpty }
        for stream in waiting.shuffled() where rest > 0 && room > 0 {
            rest -= read(stream, room: &room, at: now)
        }
        for stream in streams.values where stream.lostDue.map({ $0 <= now }) == true { tellLost(stream) }
        for stream in orphans where stream.isOver { forget(stream) }
        if pacedLook == nil, streams.values.contains(where: \.isPaced) { pacedLook = now + Self.pause }
    }

    private func hear(at now: MonotonicInstant) {
        do throws(SystemError) { try events.wait(epoll, timeout: 0) } catch { return }
        for index in 0..<events.count {
            guard let stream = streams[events[index].word] else { continue }
            stream.mayHaveMore = true
            if stream.rate.ring(at: now) { setPaced(true, stream) }
        }
    }

    private func setPaced(_ isPaced: Bool, _ stream: Stream) {
        guard let pipe = stream.pipe else { return }
        // Only the edge flag: a hang-up, which epoll always reports, is reported once.
        let events: EpollEvents = isPaced ? .edge : .readableOnce
        do throws(SystemError) { try epoll.modify(pipe.number, events, word: stream.number) } catch { return }
        stream.isPaced = isPaced
        stream.quietLooks = 0
    }

    /// - Returns: how many bytes were read.
    private func read(_ stream: Stream, room: inout Int, at now: MonotonicInstant) -> Int {
        refill(stream, at: now)
        takeBacklog(of: stream, room: &room)
        var count = 0
        for _ in 0..<(stream.isPaced ? Self.readsAtOnce : 1) where stream.mayHaveMore && stream.backlog.isEmpty {
            count += readOnce(stream, room: &room)
        }
        if stream.isPaced, stream.backlog.isEmpty {
            stream.mayHaveMore = false
            stream.quietLooks = count == 0 ? stream.quietLooks + 1 : 0
            if stream.quietLooks >= Self.quietLooks { setPaced(false, stream) }
        }
        if stream.lines.lost != OutputLines.Lost(), stream.lostDue == nil { stream.lostDue = now + Self.lostPeriod }
        return count
    }

    private func refill(_ stream: Stream, at now: MonotonicInstant) {
        all.refill(at: now)
        stream.allowance.refill(at: now)
    }

    private func readOnce(_ stream: Stream, room: inout Int) -> Int {
        guard let pipe = stream.pipe else { return 0 }
        do throws(SystemError) {
            switch try pipe.read(into: buffer) {
            case .bytes(let count, let isLast):
                stream.mayHaveMore = !isLast
                let bytes = UnsafeRawBufferPointer(rebasing: buffer.prefix(count))
                stream.lines.note(bytes)
                let taken = stream.backlog.isEmpty ? take(bytes, of: stream, room: &room) : 0
                if taken < count { stream.backlog.append(UnsafeRawBufferPointer(rebasing: bytes[taken...])) }
                return count
            case .nothing: stream.mayHaveMore = false
            case .end: close(stream)
            case .descriptors:
                close(stream)
                let text = "\(stream.owner.name) sent descriptors with its output: its output is no longer read"
                say(LogLine(.error, text), stream.owner.cause(.output))
            }
        } catch {
            close(stream)
            let text = "the output of \(stream.owner.name) cannot be read: \(error)"
            say(LogLine(.error, text), stream.owner.cause(.output))
        }
        return 0
    }

    private func takeBacklog(of stream: Stream, room: inout Int) {
        if room <= 0 || stream.backlog.isEmpty { return }
        let backlog = stream.backlog
        let taken = backlog.withBytes { take($0, of: stream, room: &room) }
        stream.backlog.drop(taken)
    }

    private func take(_ bytes: UnsafeRawBufferPointer, of stream: Stream, room: inout Int) -> Int {
        stream.lines.take(bytes, own: &stream.allowance, all: &all, room: &room) { tell($0, of: stream) }
    }
}
