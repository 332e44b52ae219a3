// The supervisor's view of a worker's ring.

import Synchronization

/// One mark as it stands in a ring, every word ranged. Its text is text of others.
package struct RequestRecord: Equatable, Sendable {
    /// Another number for each mark of its process, if the process is honest.
    package var sequence: UInt64
    /// When it began, at most now.
    package var start: MonotonicInstant
    /// If nil, a connection without a request.
    package var label: ForeignText?
    package var trace: TraceID?
    package var peer: SocketAddress?
    /// Bytes read from its connection so far, or nil for a request whose connection is unknown.
    package var bytesRead: UInt64?
    /// Its code runs at this moment, on the loop or on another thread. Otherwise it waits for something.
    package var isExecuting: Bool
}

/// All marks of a process, from one read.
package struct RequestRingReading: Equatable, Sendable {
    /// Executing requests first, an inner one before the request in which it was begun. The others follow, oldest
    /// first.
    package private(set) var records: [RequestRecord] = []
    /// How many requests and connections with a message in hand there are, those without a slot included. A worker that
    /// lies can make it any number up to four billion.
    package private(set) var count = 0

    package init() {}

    /// Reads the ring of another process, which may write at any time, in a bounded number of steps: each word once,
    /// but for the number of a mark, which is compared with itself to see whether the slot has changed meanwhile.
    ///
    /// - Parameters:
    ///   - base: `RequestRingLayout.byteCount` bytes.
    ///   - most: how many records are made. The others are counted.
    package init(_ base: UnsafeMutableRawPointer, at now: MonotonicInstant, atMost most: Int = .max) {
        typealias Layout = RequestRingLayout
        func load(_ index: Int) -> UInt64 { Layout.word(base, index).pointee.load(ordering: .relaxed) }
        let task = load(Layout.Head.task)
        let live = Int64(bitPattern: load(Layout.Head.liveOnLoop) &+ load(Layout.Head.liveElsewhere))
        let connections = Int64(clamping: load(Layout.Head.connections))
        var found: [Candidate] = []
        for slot in 0..<Layout.slotCount {
            if let candidate = Candidate(base, slot, running: task, at: now) { found.append(candidate) }
        }
        let requests = found.filter { !Layout.isConnection($0.slot) }
        let peers = found.filter { Layout.isConnection($0.slot) }
        // A request and the connection that it came by belong to one task, and are one thing.
        let alone = peers.filter { peer in peer.task == 0 || !requests.contains { $0.task == peer.task } }
        let wanted = (requests + alone).sorted(by: Candidate.isBefore)
        records = wanted.prefix(most).compactMap { $0.record(in: base, connections: peers) }
        let limit = Int64(UInt32.max)
        let others = max(0, min(connections, limit) - Int64(peers.count - alone.count))
        count = max(wanted.count, Int(min(max(0, min(live, limit)) + others, limit)))
    }

    /// Empties the ring of a process that has ended, for the next one.
    package static func clear(_ base: UnsafeMutableRawPointer) {
        for index in 0..<RequestRingLayout.firstState + RequestRingLayout.slotCount {
            RequestRingLayout.word(base, index).pointee.store(0, ordering: .relaxed)
        }
    }
}

/// A slot with a mark in it, and what decides whether it is among those that are read whole.
private struct Candidate {
    private typealias Layout = RequestRingLayout

    let slot: Int
    let sequence: UInt64
    let start: MonotonicInstant
    let task: UInt64
    let info: UInt64
    let isExecuting: Bool

    /// nil for an empty slot.
    init?(_ base: UnsafeMutableRawPointer, _ slot: Int, running: UInt64, at now: MonotonicInstant) {
        sequence = Layout.word(base, Layout.state(slot)).pointee.load(ordering: .acquiring)
        if sequence == 0 { return nil }
        func load(_ field: Int) -> UInt64 { Self.load(base, slot, field) }
        self.slot = slot
        start = min(MonotonicInstant(nanoseconds: Int64(clamping: load(Layout.Field.start))), now)
        task = load(Layout.Field.task)
        info = load(Layout.Field.info)
        let executes = !Layout.isConnection(slot) && info & Layout.Info.executes != 0
        isExecuting = executes || (task != 0 && task == running)
    }

    /// - Returns: nil if the slot was emptied or reused meanwhile.
    func record(in base: UnsafeMutableRawPointer, connections: [Candidate]) -> RequestRecord? {
        func load(_ field: Int) -> UInt64 { Self.load(base, slot, field) }
        let (high, low) = (load(Layout.Field.high), load(Layout.Field.low))
        var record = RequestRecord(sequence: sequence, start: start, isExecuting: isExecuting)
        if Layout.isConnection(slot) {
            record.peer = SocketAddress(info: info, high: high, low: low)
            record.bytesRead = load(Layout.Field.bytesRead)
        } else {
            record.label = Self.text(min(Int(info & Layout.Info.lengthMask), Layout.labelLimit)) {
                load(Layout.Field.text + $0)
            }
            if info & Layout.Info.hasTrace != 0 { record.trace = TraceID(high: high, low: low) }
        }
        atomicMemoryFence(ordering: .acquiring)
        guard Layout.word(base, Layout.state(slot)).pointee.load(ordering: .relaxed) == sequence else { return nil }
        if record.label != nil, task != 0, let connection = connections.first(where: { $0.task == task })?
            .record(in: base, connections: [])
        {
            record.peer = connection.peer
            record.bytesRead = connection.bytesRead
        }
        return record
    }

    private static func load(_ base: UnsafeMutableRawPointer, _ slot: Int, _ field: Int) -> UInt64 {
        Layout.word(base, Layout.field(slot, field)).pointee.load(ordering: .relaxed)
    }

    private static func text(_ length: Int, _ load: (Int) -> UInt64) -> ForeignText {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length + 7)
        for index in 0..<(length + 7) / 8 {
            withUnsafeBytes(of: load(index).littleEndian) { bytes.append(contentsOf: $0) }
        }
        return ForeignText(decoding: bytes.prefix(length))
    }

    static func isBefore(_ a: Candidate, _ b: Candidate) -> Bool {
        if a.isExecuting != b.isExecuting { return a.isExecuting }
        // Of those that execute the innermost first. Marks of one turn of the loop have the same start.
        if a.start != b.start { return a.isExecuting ? a.start > b.start : a.start < b.start }
        return a.isExecuting ? a.sequence > b.sequence : a.sequence < b.sequence
    }
}
