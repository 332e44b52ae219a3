// A channel between two processes, as the program holds it.

public import PreforkStore
import PreforkSystem
import Synchronization

/// A named, typed, bounded, full-duplex channel between the process that makes it and one other process.
///
/// ```swift
/// let jobs = try Channel<String>(name: "jobs")       // before the fork
/// // in the worker                                    // in the process that made it
/// for try await job in jobs.messages { ... }          try await jobs.send("resize 17")
/// ```
///
/// The process that makes a channel is at one end of it. Any process that was forked later and uses it, directly or by
/// `named(_:)`, is at the other, and so is a process that it was sent to. An end belongs to one living process at a
/// time, which takes it with its first send or receive. After its death or `close()` the next process takes it, as the
/// next *generation*: rings, name and the messages on their way stay (see `ChannelOptions.undelivered`). Several tasks
/// and threads of a process may use its end at once.
///
/// A worker that takes another's place, and the next process of a managed target, need not wait for a death: such a
/// successor may use the end while its predecessor is there, and waits until that one was asked to leave and has
/// finished what it had in hand. Nothing is lost or repeated by that, and the other end learns of it only by `onPeer`.
///
/// Messages of one sender arrive in the order of its sends, each at most once: a message is taken before it is handed
/// to the program, and one that was taken by a process that then died is gone. What a process had sent when it died is
/// delivered, whole messages only.
///
/// A channel takes seven descriptors and the memory of its rings in every process. The memory counts when it is used.
///
/// Follows liteyuki.comm's Channel.
public final class Channel<Message: Codable & Sendable>: Sendable {
    let core: ChannelCore
    /// Which end this process has: the process that made the channel has one, every other process has the other. For
    /// the opposite handle, it is the reverse.
    private let ends: (home: ChannelEnd, away: ChannelEnd)
    /// The ends that it sends at. They differ from `ends` for a loop.
    private let sendingEnds: (home: ChannelEnd, away: ChannelEnd)
    private let home: UInt64
    /// Whether this handle is for the end at which the process is not by itself.
    let isOpposite: Bool
    private let isLoop: Bool
    /// Messages of these types are read out of the shared memory. Others are copied first, because their codec may do
    /// anything.
    @usableFromInline let isDirect: Bool
    @usableFromInline
    let encode: @Sendable (Message, (ValueKind, UnsafeRawBufferPointer) -> Void) throws -> Void
    @usableFromInline
    let decode: @Sendable (ValueKind, UnsafeRawBufferPointer) throws -> Message

    /// Makes a channel. Make it before the fork, so that the other process inherits it. Or make it at any time, and
    /// send it to the other process (`encode(to:)`) or let that find it (`register(as:replacing:)`).
    ///
    /// In a program that an upgrade started, it is the channel of that name that the previous program has left, with
    /// the messages on their way. Workers of that program keep their ends until they leave them. If the sizes of its
    /// options differ, the upgrade is refused.
    ///
    /// - Parameter name: any text that is not empty. It is escaped where it is shown.
    /// - Throws: `ChannelError`: `.duplicateName`, `.badArgument`, and `.system` if there is no memory or no descriptor
    ///   left.
    public convenience init(name: String, _ options: ChannelOptions = ChannelOptions()) throws(ChannelError) {
        self.init(try ChannelCore(name: name, options: options, messageType: Message.self), isOpposite: false)
        try ChannelRegistry.add(core)
        SharedObjects.add(.channel { [weak core] in core?.memory.row })
    }

    /// - Parameter isLoop: it sends at the end that it does not receive at.
    init(_ core: ChannelCore, isOpposite: Bool, isLoop: Bool = false) {
        self.core = core
        self.isOpposite = isOpposite
        self.isLoop = isLoop
        home = core.home
        ends = isOpposite ? (core.peer, core.creator) : (core.creator, core.peer)
        sendingEnds = isOpposite != isLoop ? (core.peer, core.creator) : (core.creator, core.peer)
        let coding = ValueCoding<Message>(codec: core.memory.options.codec)
        encode = coding.encode
        decode = coding.decode
        isDirect = Message.self is any SharedValue.Type
    }

    /// The name that was given to `init`. It is the same at both ends and in every process that inherits the channel.
    public var name: String { core.memory.name }

    /// This channel's other end, in this process: for use inside of one process, and in tests.
    public var opposite: Channel {
        Channel(core, isOpposite: !isOpposite)
    }

    /// A handle for both ends: what this process sends by it, it receives by it, in order.
    ///
    /// ```swift
    /// let todo = try Channel<String>(name: "todo").loop
    /// try await todo.send("resize 17")
    /// let next = try await todo.receive()
    /// ```
    ///
    /// The process has both ends then, and no other process can use the channel. For a queue that several processes
    /// send to and receive from, by one handle, see `WorkQueue`.
    public var loop: Channel { Channel(core, isOpposite: isOpposite, isLoop: true) }

    /// Closes this end. The other end receives what was sent before, then `.closed`; what it sends from then on fails
    /// with `.closed`. Here every operation fails with `.closed` from now on, also those that wait. A process that
    /// comes to this end later opens it again. A second call has no effect.
    ///
    /// Of a `loop` both ends are closed.
    public func close() {
        end.close()
        if isLoop { sendingEnd.close() }
    }

    /// Makes this process the one at this end, before it sends or receives.
    package func attach() throws(ChannelError) {
        try end.attach()
    }

    /// The handle for the end of the process that has made the channel: also in processes that were forked from it.
    var facingOthers: Channel { ForkCount.current == home ? self : opposite }

    @usableFromInline
    var end: ChannelEnd { ForkCount.current == home ? ends.home : ends.away }

    @usableFromInline
    var sendingEnd: ChannelEnd { ForkCount.current == home ? sendingEnds.home : sendingEnds.away }
}

/// What all handles of a channel share. The registry refers to it weakly, so no hot path should.
final class ChannelCore: Sendable {
    let memory: ChannelMemory
    let messageType: any Any.Type
    let creator: ChannelEnd
    let peer: ChannelEnd
    /// `ForkCount` of the process that has made it; 0: another one, of no ancestor.
    let home: UInt64

    convenience init(name: String, options: ChannelOptions, messageType: any Any.Type) throws(ChannelError) {
        self.init(try ChannelMemory(name: name, options: options), messageType, home: ForkCount.current)
        SharedHandles.add(self, of: memory.identity)
    }

    init(_ memory: ChannelMemory, _ messageType: any Any.Type, home: UInt64) {
        self.memory = memory
        self.messageType = messageType
        self.home = home
        creator = ChannelEnd(memory, .creator)
        peer = ChannelEnd(memory, .peer)
    }

    deinit {
        SharedHandles.forgetDead(memory.identity)
        creator.retire()
        peer.retire()
    }
}
