// The callbacks of an end.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// The callbacks of one end, and their server (`serve`): a task that runs while there is one of them.
final class CallbackRegistry<Message: Codable & Sendable>: CallbackReceiver {
    struct Callback: Sendable {
        let filter: @Sendable (Message) async throws -> Bool
        let body: @Sendable (Message) async throws -> Void
    }

    struct State {
        var callbacks: [(id: UInt64, callback: Callback)] = []
        var onCall: (id: UInt64, body: @Sendable (Message) async throws -> Message)?
        var onError: (@Sendable (any Error) -> Void)?
        var lastID: UInt64 = 0
        /// Whether the task runs. The task clears it when it ends.
        var isServed = false
        /// The generation of the last message's sender.
        var lastSender: UInt64 = 0

        var isIdle: Bool { callbacks.isEmpty && onCall == nil }

        mutating func newID() -> UInt64 {
            lastID &+= 1
            return lastID
        }
    }

    let process = ForkCount.current
    let state = Mutex(State())
    let name: String

    init(name: String) {
        self.name = name
    }

    func add(_ callback: Callback, for channel: Channel<Message>) throws(ChannelError) -> ChannelRegistration {
        let loop = try channel.end.listen().loop
        let id = state.withLock { state -> UInt64 in
            let id = state.newID()
            state.callbacks.append((id, callback))
            return id
        }
        serve(channel, on: loop)
        return ChannelRegistration { [self, end = channel.end] in
            state.withLock { state in state.callbacks.removeAll { $0.id == id } }
            // The task looks whether it still has work.
            end.waiters.wakeAll()
        }
    }

    func setCallHandler(
        _ body: @escaping @Sendable (Message) async throws -> Message, for channel: Channel<Message>
    ) throws(ChannelError) -> ChannelRegistration {
        let loop = try channel.end.listen().loop
        let id = state.withLock { state -> UInt64 in
            let id = state.newID()
            state.onCall = (id, body)
            return id
        }
        serve(channel, on: loop)
        return ChannelRegistration { [self, end = channel.end] in
            state.withLock { state in if state.onCall?.id == id { state.onCall = nil } }
            end.waiters.wakeAll()
        }
    }

    func setErrorHandler(_ body: @escaping @Sendable (any Error) -> Void) {
        state.withLock { $0.onError = body }
    }
}
