// One subscriber's view of one channel.

#if Valkey
    import PreforkChannels
    import PreforkEventLoop
    import PreforkStore
    import Synchronization

    /// Filled by the hub on its loop, read by a task anywhere. Several readers share it: each event goes to one.
    final class ValkeySubscription: PublishedEvents {
        typealias Element = PublishedEvent
        typealias Failure = any Error
        private typealias Waiter = UnsafeContinuation<PublishedEvent?, any Error>

        private struct State {
            var buffer: EventBuffer
            var waiters: [(ticket: UInt64, continuation: Waiter)] = []
            var nextTicket: UInt64 = 0
            /// Why no event comes any more. It is given once, then the sequence just ends.
            var end: Result<Void, any Error>?

            /// The next event, or the end. Nil if the caller must wait.
            mutating func nextOutcome() -> Result<PublishedEvent?, any Error>? {
                if let event = buffer.next() { return .success(event) }
                guard let end else { return nil }
                self.end = .success(())
                return end.map { nil }
            }
        }

        /// The channel's name on the server.
        let channel: [UInt8]
        private let hub: SubscriptionHub
        private let state: Mutex<State>
        private let stop = Mutex<StopObservation?>(nil)

        init(of channel: [UInt8], hub: SubscriptionHub) {
            self.channel = channel
            self.hub = hub
            state = Mutex(State(buffer: EventBuffer(limit: hub.settings.subscriberBuffer)))
            // A process that is asked to stop takes no further message.
            let observation = hub.loop.onStop { [weak self] in self?.finishAtOnce() }
            stop.withLock { $0 = observation }
        }

        deinit {
            let (hub, channel, id) = (hub, channel, ObjectIdentifier(self))
            hub.loop.execute { hub.forget(id, of: channel) }
        }

        func deliver(_ message: StoredValue) {
            // The hub may not have received the end yet.
            change { if $0.end == nil { $0.buffer.append(message) } }
        }

        func deliverGap() {
            change { if $0.end == nil { $0.buffer.appendGap() } }
        }

        func finish(_ end: Result<Void, any Error>) {
            change { if $0.end == nil { $0.end = end } }
        }

        /// Ends the sequence, whatever is still in its buffer.
        private func finishAtOnce() {
            change { state in
                state.buffer = EventBuffer(limit: 1)
                state.end = .success(())
            }
        }

        func unsubscribe() async {
            finishAtOnce()
            let (hub, channel, id) = (hub, channel, ObjectIdentifier(self))
            hub.loop.execute { hub.forget(id, of: channel) }
        }

        struct AsyncIterator: AsyncIteratorProtocol {
            fileprivate let subscription: ValkeySubscription

            mutating func next() async throws -> PublishedEvent? {
                try await subscription.next()
            }
        }

        func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(subscription: self)
        }

        private func next() async throws -> PublishedEvent? {
            let ticket = state.withLock { state in
                state.nextTicket &+= 1
                return state.nextTicket
            }
            return try await withTaskCancellationHandler {
                try await withUnsafeThrowingContinuation { (continuation: Waiter) in
                    // A cancellation that comes before this finds no waiter, and is found here.
                    let outcome = state.withLock { state -> Result<PublishedEvent?, any Error>? in
                        if Task.isCancelled { return .failure(CancellationError()) }
                        // A new caller does not overtake one that waits already.
                        if state.waiters.isEmpty, let outcome = state.nextOutcome() { return outcome }
                        state.waiters.append((ticket, continuation))
                        return nil
                    }
                    outcome.map { continuation.resume(with: $0) }
                }
            } onCancel: {
                let waiter = state.withLock { state -> Waiter? in
                    let index = state.waiters.firstIndex { $0.ticket == ticket }
                    return index.map { state.waiters.remove(at: $0).continuation }
                }
                waiter?.resume(throwing: CancellationError())
            }
        }

        /// Changes the state, then gives the waiting tasks their events, outside of the lock.
        private func change(_ body: (inout State) -> Void) {
            let served = state.withLock { state in
                body(&state)
                var served: [(Waiter, Result<PublishedEvent?, any Error>)] = []
                while let waiter = state.waiters.first, let outcome = state.nextOutcome() {
                    state.waiters.removeFirst()
                    served.append((waiter.continuation, outcome))
                }
                return served
            }
            for (waiter, outcome) in served { waiter.resume(with: outcome) }
        }
    }
#endif
