// The requests that a worker has in hand: how it marks them.

import Synchronization

/// The writing end of a process's ring (see `RequestRingLayout`), with what the process itself knows of its marks.
///
/// The process never reads the shared words back. Another process with the same memory can write them and falsify a
/// report, but no mark is lost and no slot stays taken. On the event loop's thread a mark costs stores only. On another
/// thread it costs two atomic exchanges and a read of the clock.
package struct RequestRing: @unchecked Sendable {
    // Sendable: an address that never changes. What is behind it is touched on the loop's thread only, or is atomic.

    /// Proof: made once and never freed, because marks that the program keeps may outlive any owner. A process has one.
    let own: UnsafeMutablePointer<RequestRingState>

    /// - Parameter memory: `RequestRingLayout.byteCount` bytes, aligned to eight, which stay mapped for the life of the
    ///   process. If nil, the process has no place in shared memory, and its marks are invisible to others.
    package init(memory: UnsafeMutableRawPointer?) {
        let base = memory ?? .allocate(byteCount: RequestRingLayout.byteCount, alignment: 64)
        if memory == nil { base.initializeMemory(as: UInt8.self, repeating: 0, count: RequestRingLayout.byteCount) }
        own = .allocate(capacity: 1)
        own.initialize(to: RequestRingState(base: base))
    }

    /// From now on marks that are made on this thread are the loop's. Called once, on the loop's thread or before it
    /// runs.
    ///
    /// - Parameter identity: what `ThreadLoop.current` is on the loop's thread.
    package func becomeRing(ofLoop identity: UnsafeMutableRawPointer) {
        own.pointee.loop = identity
        beginTurn()
    }

    /// On the loop's thread, once in each turn: the start of all marks of this turn.
    ///
    /// The exact time, because requests that last microseconds are measured from it. A read for each turn is less than
    /// one for each request.
    package func beginTurn() { own.pointee.turn = UInt64(clamping: MonotonicInstant.now.nanoseconds) }

    /// When the loop's present turn has begun. On the loop's thread.
    @inline(__always)
    package var turnBegan: MonotonicInstant { MonotonicInstant(nanoseconds: Int64(clamping: own.pointee.turn)) }

    /// On the loop's thread: records which task runs from now on.
    ///
    /// - Parameter task: any number that belongs to this task as long as it lives, or 0 for no task.
    @inline(__always)
    package func runs(_ task: UInt64) {
        own.pointee.task = task
        store(task, RequestRingLayout.Head.task)
    }

    /// Begins a request. From any thread.
    ///
    /// - Parameters:
    ///   - label: the first 128 bytes are kept.
    ///   - includesQuery: if false, the label ends before its first `?`.
    ///   - executes: the request's body is a synchronous one, which executes until the mark ends.
    @inline(__always)
    package func begin(
        _ label: UnsafeRawBufferPointer, includesQuery: Bool, trace: TraceID?, executes: Bool
    ) -> RequestMark {
        if own.pointee.isOnLoop { return beginOnLoop(label, includesQuery, trace, executes) }
        return beginElsewhere(label, includesQuery, trace, executes)
    }

    @inline(__always)
    private func beginOnLoop(
        _ label: UnsafeRawBufferPointer, _ includesQuery: Bool, _ trace: TraceID?, _ executes: Bool
    ) -> RequestMark {
        var slot = own.pointee.freeOnLoop.trailingZeroBitCount
        if slot == UInt64.bitWidth { slot = reclaim() ?? takeSpare(RequestRingLayout.loopSpare) }
        own.pointee.freeOnLoop &= own.pointee.freeOnLoop &- 1
        own.pointee.sequence &+= 2
        let sequence = own.pointee.sequence
        own.pointee.live &+= 1
        store(own.pointee.live, RequestRingLayout.Head.liveOnLoop)
        write(slot, own.pointee.turn, own.pointee.task, label, includesQuery, trace, executes)
        publish(slot, sequence)
        return RequestMark(own: own, slot: slot, sequence: sequence)
    }

    /// Finds slots of the loop whose marks another thread has ended.
    ///
    /// - Returns: the first of them.
    @inline(never)
    private func reclaim() -> Int? {
        for slot in 0..<RequestRingLayout.loopSpare
        where own.pointee.owners[slot].load(ordering: .acquiring) == 0 {
            own.pointee.freeOnLoop |= 1 << UInt64(slot)
        }
        return own.pointee.freeOnLoop == 0 ? nil : own.pointee.freeOnLoop.trailingZeroBitCount
    }

    @inline(never)
    private func beginElsewhere(
        _ label: UnsafeRawBufferPointer, _ includesQuery: Bool, _ trace: TraceID?, _ executes: Bool
    ) -> RequestMark {
        let spare = RequestRingLayout.elsewhereSpare
        let slot = own.pointee.takeElsewhere() ?? spare
        let sequence = own.pointee.nextElsewhere()
        addElsewhere(1)
        // One thread at a time: two that found no slot would mix their labels.
        if slot == spare, !own.pointee.lockSpare() {
            return RequestMark(own: own, slot: slot, sequence: sequence)
        }
        if slot == spare { _ = takeSpare(spare) }
        let now = UInt64(clamping: MonotonicInstant.coarseNow.nanoseconds)
        write(slot, now, 0, label, includesQuery, trace, executes)
        publish(slot, sequence)
        if slot == spare { own.pointee.unlockSpare() }
        return RequestMark(own: own, slot: slot, sequence: sequence)
    }

    /// The number of requests begun minus those ended on threads other than the loop's. Only ever added to: a sum in
    /// shared memory that nothing here depends on.
    private func addElsewhere(_ change: UInt64) {
        RequestRingLayout.word(own.pointee.base, RequestRingLayout.Head.liveElsewhere).pointee
            .wrappingAdd(change, ordering: .relaxed)
    }

    /// - Returns: `slot`, which the reader takes for empty until it is published again.
    private func takeSpare(_ slot: Int) -> Int {
        store(0, RequestRingLayout.state(slot))
        return slot
    }

    @inline(__always)
    private func write(
        _ slot: Int, _ start: UInt64, _ task: UInt64, _ label: UnsafeRawBufferPointer, _ includesQuery: Bool,
        _ trace: TraceID?, _ executes: Bool
    ) {
        typealias Layout = RequestRingLayout
        orderBeforeFields()
        let text = Layout.word(own.pointee.base, Layout.field(slot, Layout.Field.text))
        var info = UInt64(RequestLabelText.copy(label, to: text, endsBeforeQuery: !includesQuery))
        if executes { info |= Layout.Info.executes }
        store(start, Layout.field(slot, Layout.Field.start))
        store(task, Layout.field(slot, Layout.Field.task))
        if let trace {
            info |= Layout.Info.hasTrace
            store(trace.high, Layout.field(slot, Layout.Field.high))
            store(trace.low, Layout.field(slot, Layout.Field.low))
        }
        store(info, Layout.field(slot, Layout.Field.info))
    }

    /// A reader that sees any word of a slot which is written after this sees that the slot was empty before.
    @inline(__always)
    func orderBeforeFields() { atomicMemoryFence(ordering: .releasing) }

    @inline(__always)
    func publish(_ slot: Int, _ sequence: UInt64) {
        own.pointee.owners[slot].store(sequence, ordering: .relaxed)
        RequestRingLayout.word(own.pointee.base, RequestRingLayout.state(slot)).pointee
            .store(sequence, ordering: .releasing)
    }

    @inline(__always)
    func store(_ value: UInt64, _ index: Int) {
        RequestRingLayout.word(own.pointee.base, index).pointee.store(value, ordering: .relaxed)
    }

    /// Ends a mark, from any thread. If the mark has ended already, or its slot has another mark by now, nothing
    /// changes except the count of a mark without a slot.
    @inline(__always)
    func end(_ slot: Int, _ sequence: UInt64) {
        if own.pointee.isOnLoop, slot <= RequestRingLayout.loopSpare {
            let isOwner = own.pointee.owners[slot].load(ordering: .relaxed) == sequence
            if isOwner {
                own.pointee.owners[slot].store(0, ordering: .relaxed)
                store(0, RequestRingLayout.state(slot))
            } else if slot != RequestRingLayout.loopSpare {
                return
            }
            own.pointee.freeOnLoop |= 1 << UInt64(slot) & RequestRingState.allOnLoop
            own.pointee.live &-= 1
            return store(own.pointee.live, RequestRingLayout.Head.liveOnLoop)
        }
        endElsewhere(slot, sequence)
    }

    @inline(never)
    private func endElsewhere(_ slot: Int, _ sequence: UInt64) {
        let isSpare = slot == RequestRingLayout.loopSpare || slot == RequestRingLayout.elsewhereSpare
        // Not zero at once: the loop may take a slot without an owner before its state is cleared here.
        let (isOwner, _) = own.pointee.owners[slot].compareExchange(
            expected: sequence, desired: RequestRingState.ending, ordering: .acquiringAndReleasing)
        guard isOwner || isSpare else { return }
        if isOwner {
            RequestRingLayout.word(own.pointee.base, RequestRingLayout.state(slot)).pointee
                .store(0, ordering: .releasing)
            own.pointee.owners[slot].store(0, ordering: .releasing)
            if !isSpare, slot >= RequestRingLayout.firstElsewhere { own.pointee.giveElsewhere(slot) }
        }
        addElsewhere(UInt64.max)
    }
}
