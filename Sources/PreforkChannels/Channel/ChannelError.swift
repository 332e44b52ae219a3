// Why a channel's operation failed.

public import PreforkSystem

/// An operation on a `Channel` failed.
public struct ChannelError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// This end was closed here, or the other end is closed and everything it had sent has been received.
        case closed
        /// This process was asked to stop: it takes no new message or call. What has arrived stays where it is.
        case stopping
        /// The process at the other end has ended. Thrown by `receive` once for each death, after everything that the
        /// process had sent. Thrown by every call that it had taken and not answered. Thrown by other calls, and by a
        /// send that would have to wait, if no other process will come in its place.
        case peerDied(generation: UInt64)
        /// The process at the other end was asked to stop, and no successor was announced. Thrown by a call that it has
        /// not taken, which is not handled, and by a send that would have to wait for it. It answers the calls that it
        /// has taken.
        case peerStopping(generation: UInt64)
        /// Another process, which lives, is at this end already.
        case endInUse(pid: Int32)
        /// This end has received by `receive` before and now should by `onReceive`, or the other way round.
        case modeConflict
        /// A channel of that name exists.
        case duplicateName
        /// No channel of that name was made in this process or, before the fork, in an ancestor, and none is registered.
        case unknownName
        /// The channel of that name carries messages of another type.
        case wrongMessageType(found: String, asked: String)
        /// The message has more bytes than the channel's `messageLimit`.
        case tooLarge(bytes: Int, limit: Int)
        /// More descriptors than go with one message.
        case tooManyDescriptors(count: Int, limit: Int)
        /// The given time is over. Nothing was sent or taken. A call's answer will be thrown away.
        case timedOut
        /// The shared memory is damaged, for the reason given. The channel is
        /// closed for good, at both ends.
        case corrupt(String)
        /// The bytes of a message do not decode as the channel's type. The message was taken.
        case decode(String)
        /// The other end's handler has thrown, or the other end does not answer calls.
        case callFailed(String)
        /// A message or a name has led to something that is not a channel, for the reason given.
        case notAChannel(String)
        /// The channel cannot be sent to another process.
        case cannotTravel(String)
        /// As many names as the processes of a service can share are taken.
        case tooManyNames(limit: Int)
        /// A blocking call on an event loop's thread, which it would stop.
        case onEventLoop
        /// The lock of the channel's header could not be taken within a second (100 ms in a process that is no worker):
        /// its owner is stopped. Try again.
        case busy
        /// A name or an option that makes no sense.
        case badArgument(String)
        /// A system call failed, for example because this process has no descriptor left (EMFILE).
        case system(SystemError)
    }

    /// What went wrong.
    public let code: Code
    /// The channel's name.
    public let channel: String

    package init(_ code: Code, channel: String) {
        self.code = code
        self.channel = channel
    }
}

extension ChannelError: CustomStringConvertible {
    public var description: String { "\(Escaping.brief(channel)): \(text)" }

    private var text: String {
        switch code {
        case .closed: "closed"
        case .stopping: "this process is stopping"
        case .peerDied(let generation): "the process at the other end, its generation \(generation), has ended"
        case .peerStopping(let generation): "the process at the other end, its generation \(generation), is stopping"
        case .endInUse(let pid): "process \(pid) is at this end"
        case .modeConflict: "this end receives in the other mode"
        case .duplicateName: "a channel of this name exists"
        case .unknownName: "no channel of this name was made before the fork or registered since"
        case .wrongMessageType(let found, let asked): "carries \(found), not \(asked)"
        case .tooLarge(let bytes, let limit): "a message of \(bytes) bytes exceeds the limit of \(limit)"
        case .tooManyDescriptors(let count, let limit):
            "\(count) descriptors in one message exceed the limit of \(limit)"
        case .timedOut: "not within the given time"
        case .corrupt(let what): "the shared memory is corrupt: \(what)"
        case .decode(let reason): "a message that cannot be read: \(reason)"
        case .callFailed(let reason): "the call failed: \(Escaping.brief(reason))"
        case .notAChannel(let reason): "not a channel: \(Escaping.brief(reason))"
        case .cannotTravel(let reason): reason
        case .tooManyNames(let limit): "\(limit) names are taken"
        case .onEventLoop: "a blocking call on an event loop's thread"
        case .busy: "could not take the lock of its header in time"
        case .badArgument(let reason): reason
        case .system(let error): "\(error)"
        }
    }
}
