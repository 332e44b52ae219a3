// The two channels of a managed process.

import PreforkSystem
import Synchronization

/// The active and the passive channel between a process and the child of that name.
///
/// ```swift
/// let nonebot = try ChannelDeliver<String>(process: "nonebot")   // before the fork
/// // in the child                                                 // in the parent
/// nonebot.enter()                                                 try await nonebot.passive.send("hello")
/// try ChannelDeliver<String>.current.passive.onReceive { ... }
/// ```
///
/// Follows liteyuki's ChannelDeliver. The channels are named `{process}-active` and `{process}-passive`.
public struct ChannelDeliver<Message: Codable & Sendable>: Sendable {
    /// The name of the managed process that these channels belong to.
    public let process: String
    /// The child receives by `receive`.
    public let active: Channel<Message>
    /// The child receives by `onReceive`.
    public let passive: Channel<Message>

    /// - Parameter process: any text that is not empty.
    /// - Throws: as `Channel.init`. Nothing was made then.
    public init(process: String, _ options: ChannelOptions = ChannelOptions()) throws(ChannelError) {
        if process.isEmpty { throw ChannelError(.badArgument("a process without a name"), channel: process) }
        self.process = process
        active = try Channel(name: "\(process)-active", options)
        passive = try Channel(name: "\(process)-passive", options)
    }

    /// As `enter`, and takes this process's ends at once, so that messages from now on are for it, and peers learn of
    /// its death. If another process has an end, the end stays there, and a use of it here throws.
    package func enterAndAttach() {
        try? active.attach()
        try? passive.attach()
        enter()
    }

    /// The channels of the process of that name as every other process needs them: at the ends that face it.
    ///
    /// An end belongs to one process at a time: of several that would talk to it, one has the channel.
    ///
    /// - Throws: `.unknownName`, `.wrongMessageType`.
    public static func facing(_ process: String) throws(ChannelError) -> ChannelDeliver {
        ChannelDeliver(
            process: process, active: try .named("\(process)-active").facingOthers,
            passive: try .named("\(process)-passive").facingOthers)
    }

    private init(process: String, active: Channel<Message>, passive: Channel<Message>) {
        self.process = process
        self.active = active
        self.passive = passive
    }

    /// Makes these the channels of this process: its `current`. A second call replaces the first.
    public func enter() {
        currentDeliver.withLock { $0 = self }
    }

    /// The channels that this process, or an ancestor before it was forked, has entered.
    ///
    /// - Throws: `.unknownName` before `enter`. `.wrongMessageType`.
    public static var current: ChannelDeliver {
        get throws(ChannelError) {
            guard let entered = currentDeliver.withLock({ $0 }) else {
                throw ChannelError(.unknownName, channel: "current")
            }
            guard let deliver = entered as? ChannelDeliver else {
                let code = ChannelError.Code.wrongMessageType(found: "\(type(of: entered))", asked: "\(Self.self)")
                throw ChannelError(code, channel: "current")
            }
            return deliver
        }
    }
}

private let currentDeliver = Mutex<(any Sendable)?>(nil)
