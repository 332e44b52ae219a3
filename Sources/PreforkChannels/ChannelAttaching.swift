// A process comes to an end of a channel, and leaves it.

import PreforkStore
import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// Makes this process the one at this end, unless it is already.
    ///
    /// - Throws: `.endInUse`, `.closed` when this process has closed it, `.busy`.
    func attach() throws(ChannelError) {
        let isNew = try wiring.withLock { wiring throws(ChannelError) -> Bool in
            if wiring.process == ForkCount.current {
                if wiring.isClosed { throw error(.closed) }
                return false
            }
            let identity = ProcessIdentity.current
            let generation = try memory.attach(identity, to: side, prepare: takeLanes)
            inbox.withLock { $0 = PassiveInbox() }
            wiring = Wiring(process: ForkCount.current, generation: generation, pid: identity.pid)
            return true
        }
        // The other end may be waiting for somebody to come.
        if isNew { memory.ringBell(of: side.other) }
    }

    /// Goes on where the last process at this end has stopped. Runs under the header's lock.
    private func takeLanes(_ generation: UInt64) {
        let peer = memory.generation(of: side.other)
        messages.start(generation: generation)
        replies.start(generation: generation)
        receiving.withLock { state in
            state = ReceivingState(memory.ring(.messages, from: side.other))
            if memory.options.undelivered == .drop, generation > 1 { skipAll(&state.consumer, .messages) }
            state.start(generation: generation, peer: peer)
        }
        calls.withLock { state in
            state = CallState(memory.ring(.replies, from: side.other))
            // What waits was meant for a predecessor.
            skipAll(&state.consumer, .replies)
            state.start(generation: generation)
        }
    }

    /// Closes this end, for this process; the other end receives what was sent before. A second call has no effect.
    func close() {
        // One who has never been there closes it, too, so that nobody waits for them.
        try? attach()
        let generation = wiring.withLock { wiring -> UInt64? in
            guard wiring.process == ForkCount.current, !wiring.isClosed else { return nil }
            wiring.isClosed = true
            return wiring.generation
        }
        guard let generation else { return }
        messages.close()
        replies.close()
        receiving.withLock { $0.isClosed = true }
        calls.withLock { $0.isClosed = true }
        memory.close(side, generation: generation)
        memory.ringBell(of: side.other)
        wakeLocally()
        // From now on the bell rings for a successor.
        removePosts()
    }

    var isClosedHere: Bool { wiring.withLock { $0.process == ForkCount.current && $0.isClosed } }
}
