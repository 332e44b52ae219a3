// A channel as part of a message.

import PreforkStore
import PreforkSystem

/// A channel travels in the message of another one, alone or inside of another value, also one that was made after the
/// fork: the receiver has a handle of the same channel.
///
/// ```swift
/// struct Question: Codable { var text: String; var answers: Channel<String> }
/// let answers = try Channel<String>(name: "answers")          // in a worker
/// try await questions.send(Question(text: "what?", answers: answers))
/// let answer = try await answers.receive()
/// ```
///
/// The process that made the channel has one end, and the process that received it has the other. To send the maker's
/// end, send `opposite`. An end belongs to one process at a time. The memory lives as long as any process has the
/// channel, or it is on its way. `named(_:)` does not find a received channel: it finds channels that were made in the
/// process, inherited or registered.
extension Channel: Codable {
    /// - Throws: `.cannotTravel`. `EncodingError` for anything but the message of a channel, for example a value of a
    ///   store.
    public func encode(to encoder: any Encoder) throws {
        try note().pack(try travellingDescriptors(), of: core, into: encoder)
    }

    /// - Throws: `.notAChannel` if the message has no valid channel, or one that must not be used here (see
    ///   `ChannelOptions.travels`), and `.wrongMessageType`.
    public convenience init(from decoder: any Decoder) throws {
        do {
            let handle = try ArrivedHandle(from: decoder, .channel, count: ChannelParts.descriptorCount)
            try self.init(opening: handle, codec: Luggage.carrier as? any ValueCodec)
        } catch let refusal as HandleRefusal {
            throw ChannelError(.notAChannel(refusal.reason), channel: "a channel in a message")
        }
    }

    /// What another process is told beside the descriptors.
    func note(name: String? = nil) -> HandleNote {
        let options = core.memory.options
        return HandleNote(
            kind: .channel, name: name ?? self.name, message: "\(Message.self)", form: core.memory.form.text,
            codec: isDirect ? 0 : options.codec.identifier,
            words: [isOpposite ? 0 : 1, options.undelivered == .keep ? 0 : 1])
    }

    /// - Throws: `.cannotTravel`.
    func travellingDescriptors() throws(ChannelError) -> [Int32] {
        let descriptors = core.memory.descriptors
        if !descriptors.isEmpty { return descriptors }
        let text = "it was made only for children that are forked later: make it with `ChannelOptions.travels`"
        throw ChannelError(.cannotTravel(text), channel: name)
    }

    /// - Parameter codec: the codec of the carrying channel, or the one that the program gave, if any.
    convenience init(opening handle: ArrivedHandle, codec: (any ValueCodec)?) throws(ChannelError) {
        let note = handle.note
        let isOpposite = note.words.first == 0
        let identity = handle.identity
        if let known = SharedHandles.object(of: identity) as? ChannelCore {
            try Self.check(known)
            self.init(known, isOpposite: isOpposite)
            return
        }
        if note.message != "\(Message.self)" {
            let code = ChannelError.Code.wrongMessageType(
                found: Escaping.brief(note.message), asked: "\(Message.self)")
            throw ChannelError(code, channel: note.name)
        }
        do throws(HandleRefusal) {
            let memory = try Self.memory(handle, codec)
            let core = ChannelCore(memory, Message.self, home: 0)
            self.init(SharedHandles.addUnlessThere(core, of: identity), isOpposite: isOpposite)
        } catch {
            throw ChannelError(.notAChannel(error.reason), channel: note.name)
        }
    }

    private static func memory(
        _ handle: ArrivedHandle, _ carrier: (any ValueCodec)?
    ) throws(HandleRefusal) -> ChannelMemory {
        let note = handle.note
        guard let form = ChannelForm(arriving: note.form) else { throw HandleRefusal("it has another layout") }
        var options = ChannelOptions()
        options.ringBytes = form.capacity
        options.messageLimit = form.messageLimit
        options.undelivered = note.words.dropFirst().first == 1 ? .drop : .keep
        if note.codec != options.codec.identifier {
            guard let carrier, carrier.identifier == note.codec else {
                throw HandleRefusal("its codec is number \(note.codec), which is not at hand")
            }
            options.codec = carrier
        }
        return try ChannelMemory(opening: handle, options, form)
    }

    static func check(_ core: ChannelCore) throws(ChannelError) {
        if core.messageType == Message.self { return }
        let code = ChannelError.Code.wrongMessageType(found: "\(core.messageType)", asked: "\(Message.self)")
        throw ChannelError(code, channel: core.memory.name)
    }
}
