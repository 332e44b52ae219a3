// The task that hands the messages of an end to callbacks.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

extension CallbackRegistry {
    /// Starts the task unless it runs. It holds the channel.
    func serve(_ channel: Channel<Message>, on loop: EventLoop) {
        let isServed = state.withLock { state in
            defer { state.isServed = true }
            return state.isServed
        }
        if isServed { return }
        Task(executorPreference: loop.preference) {
            var work: WorkInHand?
            while await self.step(channel, &work) {}
        }
    }

    /// - Parameter work: held from the first message that is taken until no message is left, so that a process that
    ///   stops does not end meanwhile.
    /// - Returns: false if there is nothing left to do. The next callback starts another task.
    private func step(_ channel: Channel<Message>, _ work: inout WorkInHand?) async -> Bool {
        let end = channel.end
        let epoch = end.waiters.epoch
        do {
            switch try nextTurn(end) {
            case .nothingLeft: return false
            case .wait:
                work = nil
                try await end.wait(.receive, since: epoch, until: nil) {
                    DrivenLoops.isTakingPaused || end.mustWaitToReceive(.anything)
                }
            case .handle(let header, let value, let callbacks):
                if work == nil { work = WorkInHand() }
                await announce(senderOf: header, end)
                await handle(header, value, channel, callbacks)
                end.finished()
                if end.isTurnOver { await end.giveTurn() }
            }
            return true
        } catch {
            work = nil
            return await recover(from: error, end, since: epoch)
        }
    }

    private enum Turn {
        case nothingLeft
        case wait
        case handle(ByteRingHeader, CarriedValue?, [(id: UInt64, callback: Callback)])
    }

    /// Looks and takes in one step: a message that is taken when the last callback has just been cancelled is lost.
    private func nextTurn(_ end: ChannelEnd) throws(ChannelError) -> Turn {
        try state.withLock { state throws(ChannelError) in
            if state.isIdle {
                state.isServed = false
                return .nothingLeft
            }
            // A message that was taken early is work in hand. Messages in the ring are for a successor.
            let isStopping = EventLoop.isStoppingHere
            let takesNone = isStopping || DrivenLoops.isTakingPaused
            guard let (header, value) = try takesNone ? end.takeSpilled() : end.takePassive() else {
                if !isStopping { return .wait }
                state.isServed = false
                return .nothingLeft
            }
            return .handle(header, value, state.callbacks)
        }
    }

    private func recover(from error: any Error, _ end: ChannelEnd, since epoch: UInt64) async -> Bool {
        switch (error as? ChannelError)?.code {
        case .peerDied:
            // A hostile peer can let a new process die each time.
            await end.giveTurn()
            return true
        case .closed where !end.isClosedHere:
            // A process may come to the other end and open it again.
            try? await end.wait(.receive, since: epoch, until: nil) { end.memory.isClosed(end.side.other) }
            return true
        case .closed, .stopping: break
        case .system:
            // Without a descriptor left, for example, which may pass.
            report(error)
            try? await EventLoop.sleep(for: .milliseconds(100))
            return true
        default: report(error)
        }
        state.withLock { $0.isServed = false }
        return false
    }

    /// The arrival of a process is reported before the first of its messages.
    private func announce(senderOf header: ByteRingHeader, _ end: ChannelEnd) async {
        let isNew = state.withLock { state in
            defer { state.lastSender = header.generation }
            return state.lastSender != header.generation
        }
        guard isNew, end.hasObservers, let loop = try? EventLoop.chosen() else { return }
        // Observers of other loops learn it from their own loop.
        await withUnsafeContinuation { continuation in
            loop.execute {
                end.tellObservers(on: loop)
                continuation.resume()
            }
        }
    }

    /// - Parameter callbacks: the callbacks for which it was taken.
    private func handle(
        _ header: ByteRingHeader, _ value: CarriedValue?, _ channel: Channel<Message>,
        _ callbacks: [(id: UInt64, callback: Callback)]
    ) async {
        if header.type == .call { return await answer(header, value, channel) }
        let message: Message
        do {
            message = try channel.message(value)
        } catch {
            return report(error)
        }
        for (position, (id, callback)) in callbacks.enumerated() {
            // One that an earlier callback has cancelled just now is not called. The first is: with all of them
            // cancelled by another thread since the message was taken, it would be lost.
            guard position == 0 || state.withLock({ state in state.callbacks.contains { $0.id == id } }) else {
                continue
            }
            do {
                if try await callback.filter(message) { try await callback.body(message) }
            } catch {
                report(error)
            }
        }
    }

    private func answer(_ header: ByteRingHeader, _ value: CarriedValue?, _ channel: Channel<Message>) async {
        guard let handler = state.withLock({ $0.onCall }) else {
            return channel.end.refuse(header, "no handler answers calls at this end")
        }
        do {
            let call = try channel.call(header, value)
            do {
                try await call.reply(try await handler.body(call.message))
            } catch let error where !(error is ChannelError) {
                try await call.fail("\(error)")
            }
        } catch {
            channel.end.refuse(header, "\(error)")
            report(error)
        }
    }

    private func report(_ error: any Error) {
        if let onError = state.withLock({ $0.onError }) { return onError(error) }
        StandardErrorLines.say("error", "channel \(name): \(error)", by: "channel \(name)")
    }
}
