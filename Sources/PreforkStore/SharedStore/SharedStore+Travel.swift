// A store as part of a message.

import PreforkCBOR
import PreforkSystem

/// A store travels in the message of a channel, alone or inside of another value: the receiver has a handle of the same
/// memory. It lives as long as a process has it, also without its maker.
///
/// ```swift
/// struct Cart: Codable { var items: SharedStore }
/// try await channel.send(Cart(items: try SharedStore()))     // also of a store that was made after the fork
/// ```
extension SharedStore: Codable {
    private static let descriptorCount = 2
    /// `lockTimeout`'s default: another process does not say how long this one waits.
    private static let arrivedLockTimeout: Int64 = 1_000_000_000

    /// What another process is told beside the descriptors.
    package func note(name: String = "") -> HandleNote {
        HandleNote(kind: .store, name: name, codec: codec.identifier)
    }

    package var travellingDescriptors: [Int32] { [table.file.descriptor.number, table.bell.descriptor.number] }

    /// - Throws: `EncodingError` for anything but the message of a channel, for example a value of a store.
    public func encode(to encoder: any Encoder) throws {
        try note().pack(travellingDescriptors, of: table, into: encoder)
    }

    /// - Throws: `StoreError` `.notAStore` if the message has no valid store, or one with a codec of the program's own
    ///   (see `ValueCodec.identifier`), and `.system`.
    public convenience init(from decoder: any Decoder) throws {
        do {
            try self.init(
                opening: try ArrivedHandle(from: decoder, .store, count: Self.descriptorCount), codec: CBORCodec())
        } catch let refusal as HandleRefusal {
            throw StoreError(.notAStore(refusal.reason))
        }
    }

    /// - Parameter codec: the program's codec for values. Must be the maker's.
    package convenience init(opening handle: ArrivedHandle, codec: any ValueCodec) throws(StoreError) {
        guard handle.note.codec == codec.identifier else {
            throw StoreError(.notAStore("its codec is number \(handle.note.codec), not \(codec.identifier)"))
        }
        if let identity = handle.identity, let table = StoreRegistry.table(of: identity) {
            self.init(table, codec: codec)
            return
        }
        do throws(HandleRefusal) { try handle.check(bells: 1) } catch { throw StoreError(.notAStore(error.reason)) }
        let numbers = handle.release()
        let table = try StoreTable(
            MemoryFile(owning: Descriptor(owning: numbers[0])), bell: Self.bell(numbers[1]), form: nil,
            lockTimeout: Self.arrivedLockTimeout)
        self.init(table, codec: codec)
        StoreRegistry.add(table)
    }
}
