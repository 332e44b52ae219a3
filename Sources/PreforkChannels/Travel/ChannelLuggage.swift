// Handles inside of messages: what they bring along.

import PreforkStore
import PreforkSystem
import Synchronization

/// Descriptors that have come with a message for handles inside of it. They are closed unless the message is decoded.
@usableFromInline
final class ArrivedLuggage: Sendable {
    private let descriptors: Mutex<[Int32]>

    init(owning descriptors: [Int32]) {
        self.descriptors = Mutex(descriptors)
    }

    deinit {
        for number in take() { closeForeignDescriptor(number) }
    }

    func take() -> [Int32] {
        descriptors.withLock { descriptors in
            defer { descriptors = [] }
            return descriptors
        }
    }
}

/// A message's value and what has come along with it.
struct CarriedValue: Sendable {
    var value: StoredValue
    var luggage: ArrivedLuggage?
}

extension ByteRingHeader {
    /// Divides what has come with a message into the program's own descriptors, and those of handles inside of it.
    func divide(_ descriptors: [Int32]) -> (own: [Int32], luggage: ArrivedLuggage?) {
        if luggageCount == 0 { return (descriptors, nil) }
        return (
            Array(descriptors.dropLast(luggageCount)), ArrivedLuggage(owning: Array(descriptors.suffix(luggageCount)))
        )
    }

    /// - Returns: nil for a value of a kind that no process of this package sends.
    func carried(_ payload: TakenPayload, _ luggage: ArrivedLuggage?) -> CarriedValue? {
        ValueKind(rawValue: kind).map {
            CarriedValue(value: StoredValue(kind: $0, bytes: payload.array), luggage: luggage)
        }
    }
}

extension Channel {
    /// Encodes a message and calls `body` with its bytes and what goes along.
    func pack(
        _ message: Message, _ body: (ValueKind, UnsafeRawBufferPointer, Luggage.Packing) -> Void
    ) throws {
        var luggage = Luggage.Packing()
        try Luggage.pack(&luggage) {
            try encode(message) { body($0, $1, Luggage.packed) }
        }
    }

    /// - Throws: what stands in a handle's way as itself, all else as the reason of `.decode`.
    func unpack(_ luggage: ArrivedLuggage?, _ kind: ValueKind, _ bytes: [UInt8]) throws -> Message {
        do {
            // A type may receive another message while it is decoded, which must not take from this one's.
            if isDirect || luggage == nil && !Luggage.isArriving {
                return try bytes.withUnsafeBytes { try decode(kind, $0) }
            }
            return try Luggage.unpack(luggage?.take() ?? [], by: core.memory.options.codec) {
                try bytes.withUnsafeBytes { try decode(kind, $0) }
            }
        } catch let error where error is ChannelError || error is WorkQueueError || error is StoreError {
            throw error
        } catch {
            throw end.error(.decode("\(error)"))
        }
    }
}
