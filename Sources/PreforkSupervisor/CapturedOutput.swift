// The output of a supervisor's children on its way into the log.

import PreforkSystem

/// Reads what children write to their `OutputPipe`s and says it line by line.
///
/// A child waits for room only while the supervisor is stopped, or when children write more than it can throw away
/// (25 MiB/s of one, 100 MiB/s of all). What is above an `OutputAllowance` is thrown away and counted. One turn reads at
/// most 1 MiB. A child that writes often is looked at every 10 ms instead of at each write.
///
/// It waits by an epoll of its own, whose number its owner watches.
final class CapturedOutput: DescriptorHolder {
    /// One read of a stream in a turn, and of a stream that is looked at by time.
    static let readLimit = 64 << 10
    static let readsAtOnce = 4
    static let turnLimit = 1 << 20
    static let pause = Duration.milliseconds(10)
    /// So many looks without news, and the child is heard at each write again.
    private static let quietLooks = 10
    /// Streams whose child has ended and which a process that it has started keeps open.
    static let mostOrphans = 16
    private static let lostPeriod = Duration.seconds(1)

    struct Stream {
        let owner: OutputOwner
        var pid: Int32 = 0
        /// nil: it is over.
        var pipe: OutputPipe?
        var lines = OutputLines()
        var allowance: OutputAllowance
        var rate = RingRate()
        var mayHaveMore = false
        var isPaced = false
        var quietLooks = 0
        /// When something that was thrown away is told.
        var lostDue: MonotonicInstant?
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
    var streams: [UInt64: Stream] = [:]
    /// The stream of each child that lives, by a key of the owner's.
    private(set) var current: [UInt64: UInt64] = [:]
    private(set) var orphans: [UInt64] = []
    private var lastStream: UInt64 = 0
    private var pacedLook: MonotonicInstant?
    /// When `turn` has something to do without an event.
    private(set) var nextLook: MonotonicInstant?
    private var all: OutputAllowance
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readLimit, alignment: 16)
    let say: (LogLine, LogCause) -> Void

    init(_ mode: OutputCapture, at now: MonotonicInstant, say: @escaping (LogLine, LogCause) -> Void)
        throws(SystemError)
    {
        self.mode = mode
        self.say = say
        all = OutputAllowance(rate: OutputAllowance.ofAll, at: now)
        epoll = try Epoll()
        DescriptorHolders.add(self)
    }

    deinit {
        buffer.deallocate()
    }

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
        guard insert(key, owner, reading, at: now) else {
            closeDescriptor(writing)
            return nil
        }
        return Writing(number: writing, includesStandardOutput: mode == .on)
    }

    /// Takes over a stream of the image before.
    func inherit(_ key: UInt64, of owner: OutputOwner, pid: Int32, _ pipe: OutputPipe, at now: MonotonicInstant) {
        guard insert(key, owner, pipe, at: now), let stream = current[key] else { return }
        streams[stream]?.pid = pid
        // What was written during the change of images is no news to this epoll.
        streams[stream]?.mayHaveMore = true
        plan(at: now)
    }

    private func insert(_ key: UInt64, _ owner: OutputOwner, _ pipe: OutputPipe, at now: MonotonicInstant) -> Bool {
        lastStream += 1
        do throws(SystemError) { try epoll.add(pipe.number, .readableOnce, word: lastStream) } catch { return false }
        streams[lastStream] = Stream(
            owner: owner, pipe: pipe, allowance: OutputAllowance(rate: OutputAllowance.ofChild, at: now))
        current[key] = lastStream
        return true
    }

    /// The child was forked.
    func began(_ key: UInt64, pid: Int32, _ writing: Writing?) {
        if let writing { closeDescriptor(writing.number) }
        if let stream = current[key] { streams[stream]?.pid = pid }
    }

    /// The child could not be forked.
    func cancel(_ key: UInt64, _ writing: Writing?) {
        if let writing { closeDescriptor(writing.number) }
        guard let stream = current.removeValue(forKey: key) else { return }
        close(stream)
        streams[stream] = nil
    }

    /// The reading end of a living child's stream.
    func pipe(of key: UInt64) -> OutputPipe? { current[key].flatMap { streams[$0]?.pipe } }

    /// What a child has said up to now. It has crashed: what follows is a backtracer's.
    ///
    /// - Returns: nil when its output is not captured.
    func wordsSoFar(of key: UInt64, at now: MonotonicInstant) -> LastWords? {
        guard let number = current[key] else { return nil }
        refill(number, at: now)
        for _ in 0..<OutputPipe.capacity / Self.readLimit where streams[number]?.pipe != nil {
            if readOnce(number) == 0 { break }
        }
        plan(at: now)
        return streams[number].map { $0.lines.words.lastWords(pid: $0.pid, name: $0.owner.name) }
    }

    /// The child has ended: reads what it has left.
    ///
    /// - Returns: nil when its output was not captured.
    func end(_ key: UInt64, at now: MonotonicInstant) -> LastWords? {
        guard let number = current.removeValue(forKey: key) else { return nil }
        defer { plan(at: now) }
        readRest(of: number, at: now)
        let words = streams[number].map { $0.lines.words.lastWords(pid: $0.pid, name: $0.owner.name) }
        if streams[number]?.pipe == nil {
            streams[number] = nil
        } else {
            // A process that the child has started may still write.
            orphans.append(number)
            if orphans.count > Self.mostOrphans { forget(orphans[0], at: now) }
        }
        return words
    }

    /// Reads what waits in all streams, and gives up those of children that have ended: nothing turns this object for a
    /// while, or ever. The next image inherits the streams of workers that live.
    func finish(at now: MonotonicInstant) {
        for number in orphans { forget(number, at: now) }
        for number in streams.keys.sorted() { readRest(of: number, at: now) }
        plan(at: now)
    }

    /// At most what fits into the pipe, so that a process which outlives the child cannot keep it here.
    private func readRest(of number: UInt64, at now: MonotonicInstant) {
        refill(number, at: now)
        for _ in 0..<OutputPipe.capacity / Self.readLimit * 2 where streams[number]?.pipe != nil {
            if readOnce(number) == 0 { break }
        }
        take(number) { $0.lines.end(own: &$0.allowance, all: &$1, say: $2) }
        tellLost(number)
    }

    private func forget(_ number: UInt64, at now: MonotonicInstant) {
        readRest(of: number, at: now)
        close(number)
        streams[number] = nil
        orphans.removeAll { $0 == number }
    }

    private func close(_ number: UInt64) {
        guard let pipe = streams[number]?.pipe else { return }
        epoll.remove(pipe.number)
        streams[number]?.pipe = nil
        streams[number]?.mayHaveMore = false
        streams[number]?.isPaced = false
    }

    // Turns

    /// Kept, because it is asked for at each turn of the owner's, and there may be thousands of streams.
    private func plan(at now: MonotonicInstant) {
        var next = pacedLook
        for stream in streams.values {
            if stream.mayHaveMore, !stream.isPaced {
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
        guard hasNews || nextLook.map({ $0 <= now }) == true else { return }
        defer { plan(at: now) }
        if hasNews { hear(at: now) }
        if let look = pacedLook, look <= now {
            pacedLook = nil
            for (number, stream) in streams where stream.isPaced { streams[number]?.mayHaveMore = true }
        }
        var rest = Self.turnLimit
        // In another order each time: the first ones could use up all of the turn.
        for number in streams.filter({ $0.value.mayHaveMore }).map(\.key).shuffled() where rest > 0 {
            rest -= read(number, at: now)
        }
        for (number, stream) in streams {
            if let due = stream.lostDue, due <= now { tellLost(number) }
            if stream.pipe == nil, orphans.contains(number) { forget(number, at: now) }
        }
        if pacedLook == nil, streams.values.contains(where: \.isPaced) { pacedLook = now + Self.pause }
    }

    private func hear(at now: MonotonicInstant) {
        do throws(SystemError) { try events.wait(epoll, timeout: 0) } catch { return }
        for index in 0..<events.count {
            let number = events[index].word
            guard streams[number] != nil else { continue }
            streams[number]?.mayHaveMore = true
            guard streams[number]?.rate.ring(at: now) == true else { continue }
            setPaced(true, number)
        }
    }

    private func setPaced(_ isPaced: Bool, _ number: UInt64) {
        guard let pipe = streams[number]?.pipe else { return }
        // The edge flag alone: a hang-up, which epoll always tells, is told once.
        let events: EpollEvents = isPaced ? .edge : .readableOnce
        do throws(SystemError) { try epoll.modify(pipe.number, events, word: number) } catch { return }
        streams[number]?.isPaced = isPaced
        streams[number]?.quietLooks = 0
    }

    /// - Returns: how many bytes were read.
    private func read(_ number: UInt64, at now: MonotonicInstant) -> Int {
        guard let stream = streams[number] else { return 0 }
        refill(number, at: now)
        var count = 0
        for _ in 0..<(stream.isPaced ? Self.readsAtOnce : 1) {
            let new = readOnce(number)
            count += new
            if new == 0 || streams[number]?.mayHaveMore != true { break }
        }
        if stream.isPaced {
            streams[number]?.mayHaveMore = false
            let quiet = count == 0 ? stream.quietLooks + 1 : 0
            streams[number]?.quietLooks = quiet
            if quiet >= Self.quietLooks { setPaced(false, number) }
        }
        if streams[number]?.lines.lost != OutputLines.Lost(), streams[number]?.lostDue == nil {
            streams[number]?.lostDue = now + Self.lostPeriod
        }
        return count
    }

    private func refill(_ number: UInt64, at now: MonotonicInstant) {
        all.refill(at: now)
        streams[number]?.allowance.refill(at: now)
    }

    private func readOnce(_ number: UInt64) -> Int {
        guard let pipe = streams[number]?.pipe, let owner = streams[number]?.owner else { return 0 }
        do throws(SystemError) {
            switch try pipe.read(into: buffer) {
            case .bytes(let count, let isLast):
                streams[number]?.mayHaveMore = !isLast
                let bytes = UnsafeRawBufferPointer(rebasing: buffer.prefix(count))
                take(number) { $0.lines.take(bytes, own: &$0.allowance, all: &$1, say: $2) }
                return count
            case .nothing: streams[number]?.mayHaveMore = false
            case .end: close(number)
            case .descriptors:
                close(number)
                let text = "\(owner.name) has sent descriptors with its output, which is read no more"
                say(LogLine(.error, text), owner.cause(.output))
            }
        } catch {
            close(number)
            say(LogLine(.error, "the output of \(owner.name) cannot be read: \(error)"), owner.cause(.output))
        }
        return 0
    }

    private func take(
        _ number: UInt64,
        _ body: (inout Stream, inout OutputAllowance, (UnsafeRawBufferPointer) -> Void) -> Void
    ) {
        // Out of the table while it changes, so that it is not copied.
        guard var stream = streams.removeValue(forKey: number) else { return }
        let (owner, pid) = (stream.owner, stream.pid)
        body(&stream, &all) { say(Self.line($0, of: owner, pid: pid), .own(.output)) }
        streams[number] = stream
    }
}
