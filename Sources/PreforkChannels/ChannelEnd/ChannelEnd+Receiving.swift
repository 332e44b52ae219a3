// Taking records out of a ring, one at a time.

import PreforkStore
import PreforkSystem
import Synchronization

/// The result of one check of a ring.
enum TakeStep: Sendable {
    case taken
    /// Nothing that the caller wants. It may wait.
    case nothing
    case mustAttach
    /// The successor waits for the end.
    case mustLeave
    /// A call that this end does not answer. It was taken and must be refused.
    case refused(ByteRingHeader)
    case failed(ChannelError)
    /// A predecessor had taken what belongs to the record, and died.
    case halfTaken
}

/// What a receiver asks for.
struct Wanted: Sendable {
    var messages: Bool
    var calls: Bool
    var mode: ChannelEnd.Mode

    static let message = Wanted(messages: true, calls: false, mode: .active)
    static let call = Wanted(messages: false, calls: true, mode: .active)
    static let anything = Wanted(messages: true, calls: true, mode: .passive)

    func includes(_ type: ByteRingHeader.Kind) -> Bool {
        type == .call ? calls : messages
    }
}

extension ChannelEnd {
    /// Takes the next record if there is one of the wanted kind.
    ///
    /// - Parameter body: gets the header, the payload and the descriptors, which it owns. Runs under the end's lock: it
    ///   copies, and calls no code of the program. The record is freed after it and before this returns.
    /// - Returns: false when there is nothing now.
    /// - Throws: `.closed`, `.peerDied`, `.modeConflict`, `.corrupt`, `.system` (the record stays).
    @inline(__always)
    func take(
        _ wanted: Wanted, _ body: (ByteRingHeader, TakenPayload, [Int32]) -> Void
    ) throws(ChannelError) -> Bool {
        while true {
            var wakesSender = false
            let step = receiving.withLock { state -> TakeStep in self.step(&state, wanted, &wakesSender, body) }
            if wakesSender { memory.ringBell(of: side.other) }
            switch step {
            case .taken:
                // Another receiver of this process may have waited for what comes behind.
                if !waiters.isEmpty { waiters.wakeAll() }
                return true
            case .nothing: return false
            case .mustAttach: if try !attach() { return false }
            case .mustLeave:
                settleSuccession()
                return false
            case .halfTaken: continue
            case .refused(let call):
                refuse(call, "no handler answers calls at this end")
                finished()
            case .failed(let error):
                if case .corrupt(let what) = error.code { throw corrupt(what) }
                throw error
            }
        }
    }

    @inline(__always)
    private func step(
        _ state: inout ReceivingState, _ wanted: Wanted, _ wakesSender: inout Bool,
        _ body: (ByteRingHeader, TakenPayload, [Int32]) -> Void
    ) -> TakeStep {
        guard state.process == ForkCount.current else { return .mustAttach }
        if state.isClosed { return .failed(error(.closed)) }
        if state.hasLeft { return .failed(error(.stopping)) }
        if memory.isCorrupt { return .failed(error(.corrupt("found before"))) }
        if isToBeLeft { return .mustLeave }
        if state.mode != wanted.mode {
            guard state.mode == nil else { return .failed(error(.modeConflict)) }
            state.mode = wanted.mode
        }
        let dead = deadGeneration.load(ordering: .acquiring)
        // A peer that keeps sending records without a receiver must not occupy the lock and the loop.
        for _ in 0..<Self.mostPassedOver {
            switch state.next(memory, from: side.other, dead: dead) {
            case .nothing: return .nothing
            case .closed: return .failed(error(.closed))
            case .died(let generation): return .failed(error(.peerDied(generation: generation)))
            case .corrupt(let what): return .failed(error(.corrupt(what)))
            case .stale(let header):
                if let failure = discard(header, &state) { return failure }
                wakesSender = state.advance(past: header) || wakesSender
            case .record(let header):
                if header.type == .call, !wanted.calls, !state.answersCalls, wanted.mode == .active {
                    if let failure = discard(header, &state) { return failure }
                    wakesSender = state.advance(past: header) || wakesSender
                    state.inHand += 1
                    return .refused(header)
                }
                guard wanted.includes(header.type) else { return .nothing }
                // Its caller is told that it is not handled.
                if header.type == .call, memory.isStopping(side) { return .nothing }
                if header.isByFile || header.descriptorCount > 0 {
                    if let failure = takeOutOfBand(header, &state, body) {
                        if case .halfTaken = failure { wakesSender = state.advance(past: header) || wakesSender }
                        return failure
                    }
                } else {
                    state.consumer.withPayload(of: header) { body(header, .borrowed($0), []) }
                }
                wakesSender = state.advance(past: header) || wakesSender
                if wanted.mode == .passive {
                    state.inHand += 1
                } else if wanted.calls {
                    state.takenCalls.insert(.init(generation: header.generation, id: header.id))
                }
                return .taken
            }
        }
        return .nothing
    }

    /// How many records one check skips, or takes at once. The next check continues behind them.
    static let mostPassedOver = 4_096

    /// Takes what travels beside the ring for a record without a receiver.
    private func discard(_ header: ByteRingHeader, _ state: inout ReceivingState) -> TakeStep? {
        guard header.isByFile || header.descriptorCount > 0 else { return nil }
        let failure = takeOutOfBand(header, &state) { _, _, descriptors in
            for descriptor in descriptors { closeForeignDescriptor(descriptor) }
        }
        if case .halfTaken = failure { return nil }
        return failure
    }

    /// Whether a receiver must wait, after it has set the flag that makes the other end ring.
    func mustWaitToReceive(_ wanted: Wanted) -> Bool {
        let ring = memory.ring(.messages, from: side.other)
        if ring.consumerFallsAsleep() { return true }
        // Something is there. If it is not what this receiver waits for, the receiver that takes it wakes the others.
        return receiving.withLock { state in
            guard state.process == ForkCount.current, !state.isClosed, !state.hasLeft else { return false }
            let dead = deadGeneration.load(ordering: .acquiring)
            // Of a copy: what `next` tells it tells once, and a death is for the receiver, not for this look.
            var picture = state
            guard case .record(let header) = picture.next(memory, from: side.other, dead: dead) else { return false }
            if header.type == .call, !wanted.calls, !state.answersCalls { return false }
            if header.type == .call, memory.isStopping(side) { return true }
            return !wanted.includes(header.type)
        }
    }
}
