// A process comes to an end of a channel, and leaves it.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// What a process attaches to an end for.
    enum Errand: Sendable {
        case receive
        /// Also in a process that has left the end to its successor: what its handlers still send must not be lost.
        case send
    }

    /// Makes this process the one at this end, unless it is already.
    ///
    /// - Returns: false when a predecessor of the same slot has it: it is this process's as soon as that one has done
    ///   what it has in hand, or is dead (see `ChannelSuccession`).
    /// - Throws: `.endInUse`, `.closed` when this process has closed it, `.stopping` when it has left it to its
    ///   successor, `.busy`.
    @discardableResult
    func attach(for errand: Errand = .receive) throws(ChannelError) -> Bool {
        enum News { case none, claimed, mustWait, came }
        let news = try wiring.withLock { wiring throws(ChannelError) -> News in
            wiring.adopt()
            if wiring.isClosed { throw error(.closed) }
            if errand == .receive, wiring.hasLeft { throw error(.stopping) }
            if wiring.isHere { return .none }
            let hasLeft = wiring.hasLeft
            let coming = try memory.attach(wiring.identity, EndSlot.current, to: side) {
                takeLanes($0, $1, hasLeft: hasLeft)
            }
            switch coming {
            case .isHere(let generation):
                wiring.isHere = true
                wiring.generation = generation
                claims.store(0, ordering: .sequentiallyConsistent)
                return .came
            case .mustWait(let isNew):
                claims.store(ForkCount.current, ordering: .sequentiallyConsistent)
                return isNew ? .claimed : .mustWait
            }
        }
        switch news {
        case .none: break
        case .mustWait: return false
        case .claimed:
            // Heard by the predecessor, and by this process when the end is its own.
            if EventLoop.current != nil { try listen().bellWatch.keepClaiming() }
            memory.ringBell(of: side)
            return false
        case .came:
            ChannelSuccession.leavesToNextImage
            // The other end may be waiting for a process to come.
            memory.ringBell(of: side.other)
            waiters.wakeAll(andCalls: true)
        }
        return true
    }

    /// Continues where the last process at this end has stopped. Runs under the header's lock.
    ///
    /// - Returns: see `ChannelMemory.firstCall`.
    private func takeLanes(_ generation: UInt64, _ legacy: EndLegacy, hasLeft: Bool) -> UInt64 {
        let peer = memory.generation(of: side.other)
        messages.start(generation: generation)
        replies.start(generation: generation)
        let firstCall = receiving.withLock { state in
            let known = state.isOfThisProcess ? (state.mode, state.answersCalls) : (nil, false)
            state = ReceivingState(memory.ring(.messages, from: side.other))
            if memory.options.undelivered == .drop, legacy != .all { skipAll(&state.consumer, .messages) }
            state.start(generation: generation, peer: peer, legacy)
            (state.mode, state.answersCalls) = known
            state.hasLeft = hasLeft
            return state.firstCall
        }
        calls.withLock { state in
            var consumer = ByteRingConsumer(memory.ring(.replies, from: side.other))
            // What waits was meant for a predecessor.
            skipAll(&consumer, .replies)
            state.start(generation: generation, consumer)
        }
        return firstCall
    }

    /// Closes this end, for this process. The other end receives what was sent before. A second call has no effect.
    func close() {
        // A process that has never attached closes it, too, so that the other end does not wait for it. A successor
        // that waits gets the end.
        settleSuccession()
        _ = try? attach()
        let closed = wiring.withLock { wiring -> (generation: UInt64, isHere: Bool)? in
            guard wiring.isOfThisProcess, !wiring.isClosed, wiring.isHere || wiring.hasLeft || isClaiming
            else { return nil }
            wiring.isClosed = true
            return (wiring.generation, wiring.isHere)
        }
        guard var (generation, isHere) = closed else { return }
        if !isHere, let given = withdrawClaim(of: .current) { (generation, isHere) = (given, true) }
        messages.close()
        replies.close()
        receiving.withLock { $0.isClosed = true }
        calls.withLock { $0.isClosed = true }
        if isHere { memory.close(side, generation: generation) }
        memory.ringBell(of: side.other)
        wakeLocally()
        // From now on the bell rings for a successor.
        removePosts()
    }

    /// This process has made room for another one, for which the bell rings.
    var isAnothers: Bool {
        !isClaiming && wiring.withLock { $0.isOfThisProcess && ($0.isClosed || $0.hasLeft && !$0.isHere) }
    }

    /// Closed by this process, or left to its successor.
    var isClosedHere: Bool { wiring.withLock { $0.isOfThisProcess && ($0.isClosed || $0.hasLeft) } }
}
