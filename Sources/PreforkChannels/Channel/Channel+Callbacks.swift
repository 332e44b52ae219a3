// Receiving by callbacks.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

extension Channel {
    /// Calls `body` with every message that `filter` accepts. Passive mode.
    ///
    /// Callbacks run one after another in the order of their registration, for one message at a time, on the event loop
    /// of the first registration's caller (off all loops: on the shared one). A message that no filter accepts is still
    /// taken. Errors of a filter or a body go only to `onError`. Callbacks keep the channel alive. When the last
    /// callback is cancelled, messages stay where they are. A message that was already taken for it is still handled,
    /// if another thread cancels the callback. While a `send` of this end waits for room, messages are taken early, up
    /// to `messageLimit` bytes, so that two ends whose callbacks send to each other do not block each other.
    ///
    /// When this process is asked to stop, callbacks finish what was taken and get no further message. A worker and a
    /// managed process then end, within their time to drain.
    ///
    /// The other end's death and closing end nothing here: what a successor sends is handled, too. See `onPeer`.
    ///
    /// - Parameters:
    ///   - filter: accepts all by default.
    ///   - body: may send, but must not make a `call` to an end whose handler does the same at the same time: each
    ///     would wait for the other until its time is over.
    /// - Throws: `.modeConflict` if this end has received actively. `.endInUse`, `.closed`, `.busy`, `.system`.
    @discardableResult
    public func onReceive(
        where filter: @escaping @Sendable (Message) async throws -> Bool = { _ in true },
        _ body: @escaping @Sendable (Message) async throws -> Void
    ) throws(ChannelError) -> ChannelRegistration {
        try passiveMessages().add(.init(filter: filter, body: body), for: self)
    }

    /// Answers every call with what `body` returns. Passive mode. Runs in turn with the callbacks of `onReceive`.
    ///
    /// What `body` throws makes the call fail with `.callFailed` and the error's description. One handler at a time: a
    /// new one replaces the last.
    ///
    /// - Throws: as `onReceive`.
    @discardableResult
    public func onCall(
        _ body: @escaping @Sendable (Message) async throws -> Message
    ) throws(ChannelError) -> ChannelRegistration {
        try passiveMessages().setCallHandler(body, for: self)
    }

    /// Takes what the callbacks of `onReceive` throw, and messages that cannot be read. Without it they are a line on
    /// standard error each.
    ///
    /// - Throws: as `onReceive`.
    public func onError(_ body: @escaping @Sendable (any Error) -> Void) throws(ChannelError) {
        try passiveMessages().setErrorHandler(body)
    }

    private func passiveMessages() throws(ChannelError) -> CallbackRegistry<Message> {
        let end = end
        try end.pinPassive()
        return end.passive.withLock { passive in
            // A parent's callbacks belong to the parent's tasks.
            if let known = passive as? CallbackRegistry<Message>, known.process == ForkCount.current { return known }
            let new = CallbackRegistry<Message>(name: name)
            passive = new
            return new
        }
    }
}

extension ChannelEnd {
    fileprivate func pinPassive() throws(ChannelError) {
        try attach()
        try receiving.withLock { state throws(ChannelError) in
            state.adopt()
            if state.mode == .active { throw error(.modeConflict) }
            state.mode = .passive
        }
    }
}
