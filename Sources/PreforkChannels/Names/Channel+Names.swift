// Channels by name: in this process, and in all processes of a service.

public import PreforkStore
import PreforkSystem

extension Channel {
    /// The channel of that name: one that was made in this process or, before the fork, in an ancestor, and that this
    /// process still holds. Otherwise one that a process of this service has registered (`register(as:replacing:)`).
    ///
    /// - Parameter codec: the codec of a registered channel, if it is not `CBORCodec`.
    /// - Throws: `.unknownName`, `.wrongMessageType`. For a registered channel also `.notAChannel`, `.busy`,
    ///   `.corrupt`, `.system`.
    public static func named(_ name: String, codec: (any ValueCodec)? = nil) throws(ChannelError) -> Channel {
        if let core = ChannelRegistry[name] {
            try check(core)
            return Channel(core, isOpposite: false)
        }
        let handle: ArrivedHandle
        do throws(FamilyNames.Failure) {
            handle = try FamilyNames.find(.channel, name)
        } catch {
            throw ChannelError(.init(error, of: name), channel: name)
        }
        return try Channel(opening: handle, codec: codec)
    }

    /// Lets every process of this service find the channel by `named(_:)`: the supervisor, workers and managed processes,
    /// also those that were forked before it was made, and those that will be.
    ///
    /// ```swift
    /// let replies = try Channel<String>(name: "replies")      // in a worker
    /// try replies.register()
    /// // in a managed process                                 // back in the worker
    /// try await Channel<String>.named("replies").send("yes")  let reply = try await replies.receive()
    /// ```
    ///
    /// The name stays, and the channel's memory with it, until it is taken away or replaced: also when this process has
    /// ended, over reloads and over upgrades. The name belongs to this process while it lives. Another process may take
    /// it for its own channel after that, as the successor in its slot (worker, managed process), or by `replacing`. To
    /// register the same channel again has no effect.
    ///
    /// All processes together have at most 64 names, including names of queues and stores. Where the service's children
    /// have another user, its main process can register what it has made, but uses nothing that is registered.
    ///
    /// - Parameters:
    ///   - name: 1 to 255 bytes of UTF-8. If nil, the channel's name.
    ///   - replacing: takes the name from a registrant that lives.
    /// - Throws: `.duplicateName`, also for a name of another channel that this process has inherited, `.cannotTravel`,
    ///   `.tooManyNames`, `.badArgument`, `.busy`, `.corrupt`, and `.system`, with ETOOMANYREFS if this user has more
    ///   descriptors on their way than a process may have open.
    public func register(as name: String? = nil, replacing: Bool = false) throws(ChannelError) {
        let name = name ?? self.name
        // Others of this service may have inherited it, and find that one.
        if let known = ChannelRegistry[name], known !== core { throw ChannelError(.duplicateName, channel: name) }
        let descriptors = try travellingDescriptors()
        do throws(FamilyNames.Failure) {
            try FamilyNames.register(note(name: name), descriptors, replacing: replacing)
        } catch {
            throw ChannelError(.init(error, of: name), channel: name)
        }
    }

    /// Takes the channel out of this process's registry and away from the names that the service shares: its names are
    /// free for others. Processes that hold it may keep using it.
    ///
    /// A shared name may remain, for example if the lock of the names is busy.
    public func unregister() {
        ChannelRegistry.remove(core)
        if let memory = core.memory.descriptors.first { try? FamilyNames.remove(.channel, memory: memory) }
    }

    /// All channels of this message type, by their names: those that this process has made or inherited, and those that
    /// are registered.
    ///
    /// - Throws: `.busy`, `.corrupt`, `.system`: no registered one can be had.
    public static func registered() throws(ChannelError) -> [String: Channel] {
        var found: [String: Channel] = [:]
        do throws(FamilyNames.Failure) {
            for handle in try FamilyNames.all(.channel) {
                // Other names are of another type, or no process holds their channel.
                found[handle.note.name] = try? Channel(opening: handle, codec: nil)
            }
        } catch {
            if case .refused = error {} else {
                throw ChannelError(.init(error, of: "registered"), channel: "registered")
            }
        }
        for core in ChannelRegistry.cores where core.messageType == Message.self {
            found[core.memory.name] = Channel(core, isOpposite: false)
        }
        return found
    }
}

extension Channel where Message == Never {
    /// The names of all channels that this process has, and of those that are registered, in order.
    public static var names: [String] {
        let registered = (try? FamilyNames.names(.channel)) ?? []
        return Set(ChannelRegistry.names + registered).sorted()
    }
}
