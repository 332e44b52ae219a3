// A queue as part of a message.

import PreforkCBOR
import PreforkStore
import PreforkSystem

/// A queue travels in the message of a channel, alone or inside of another value, also one that was made after the fork:
/// the receiver has a handle of the same queue, to send and to receive. It lives as long as a process has it, or it is on
/// its way.
extension WorkQueue: Codable {
    private static var descriptorCount: Int { 3 }

    /// - Throws: `WorkQueueError` `.cannotTravel`. `EncodingError` for anything but the message of a channel.
    public func encode(to encoder: any Encoder) throws {
        try note().pack(try travellingDescriptors(), of: table, into: encoder)
    }

    /// - Throws: `WorkQueueError` `.notAQueue` if the message has no valid queue, or one that must not be used here
    ///   (see `ChannelOptions.travels`).
    public convenience init(from decoder: any Decoder) throws {
        do {
            let handle = try ArrivedHandle(from: decoder, .queue, count: Self.descriptorCount)
            try self.init(opening: handle, codec: Luggage.carrier as? any ValueCodec)
        } catch let refusal as HandleRefusal {
            throw WorkQueueError(.notAQueue(refusal.reason), queue: "a queue in a message")
        }
    }

    func note(name: String? = nil) -> HandleNote {
        HandleNote(
            kind: .queue, name: name ?? self.name, message: "\(Message.self)", form: table.form.text, codec: codecNumber)
    }

    /// - Throws: `.cannotTravel`.
    func travellingDescriptors() throws(WorkQueueError) -> [Int32] {
        let descriptors = table.descriptors
        if !descriptors.isEmpty { return descriptors }
        let text = "it was made only for children that are forked later: make it with `WorkQueueOptions.travels`"
        throw WorkQueueError(.cannotTravel(text), queue: name)
    }

    /// - Parameter codec: the codec of the carrying channel, or the one that the program gave, if any.
    convenience init(opening handle: ArrivedHandle, codec: (any ValueCodec)?) throws(WorkQueueError) {
        let note = handle.note
        do throws(HandleRefusal) {
            guard note.message == "\(Message.self)" else {
                throw HandleRefusal("its messages are \(note.message), not \(Message.self)")
            }
            guard let form = QueueForm(arriving: note.form) else { throw HandleRefusal("it has another layout") }
            var chosen: any ValueCodec = CBORCodec()
            if note.codec != chosen.identifier {
                guard let codec, codec.identifier == note.codec else {
                    throw HandleRefusal("its codec is number \(note.codec), which is not at hand")
                }
                chosen = codec
            }
            self.init(try Self.table(handle, form), name: note.name, Self.options(of: form), codec: chosen)
        } catch {
            throw WorkQueueError(.notAQueue(error.reason), queue: note.name)
        }
    }

    private static func table(_ handle: ArrivedHandle, _ form: QueueForm) throws(HandleRefusal) -> QueueTable {
        let identity = handle.identity
        if let known = SharedHandles.object(of: identity) as? QueueTable {
            if known.form != form { throw HandleRefusal("it is known by another form") }
            return known
        }
        try handle.check(bells: 2)
        do throws(SystemError) {
            let table = try QueueTable(form, adopting: handle.release(), isForeign: true)
            return SharedHandles.addUnlessThere(table, of: identity)
        } catch {
            throw HandleRefusal(error.travelText)
        }
    }

    private static func options(of form: QueueForm) -> WorkQueueOptions {
        WorkQueueOptions(
            capacity: Int(form.cellCount) * QueueTable.cellByteCount,
            redelivery: form.attempts == 0 ? .none : .unacknowledged(attempts: form.attempts),
            messageLimit: form.messageLimit)
    }
}
