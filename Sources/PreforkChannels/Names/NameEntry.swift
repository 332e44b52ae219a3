// One name that the processes of a service share.

import PreforkCBOR
import PreforkStore
import PreforkSystem

/// A name as it lies on the shelf, where every process of the service can put anything.
struct NameEntry: Codable, Sendable {
    struct Key: Hashable, Sendable {
        var kind: HandleNote.Kind
        var name: String
    }

    static let mostDescriptors = ChannelParts.descriptorCount

    static func descriptorCount(of kind: HandleNote.Kind) -> Int {
        switch kind {
        case .store: 2
        case .queue: 3
        case .channel: ChannelParts.descriptorCount
        }
    }

    let note: HandleNote
    /// Which memory the registrant says it is. Only to find what is to be taken away.
    let memory: String
    /// When it was registered: the latest of a name counts, and one from the future is none.
    var stamp: Int64
    /// Of this registration alone.
    let serial: UInt64
    /// The process that has registered it, and its slot; 0: none.
    let pid: Int32
    let startTime: UInt64
    let slot: UInt64
    let spawn: UInt64

    var key: Key { Key(kind: note.kind, name: note.name) }

    init(_ note: HandleNote, memory: Int32) {
        self.note = note
        self.memory = Self.memoryText(memory)
        stamp = MonotonicInstant.now.nanoseconds
        serial = .random(in: .min ... .max)
        let process = ProcessIdentity.current
        pid = process.pid
        startTime = process.startTime
        slot = ProcessSlot.current?.identity ?? 0
        spawn = ProcessSlot.current?.spawn ?? 0
    }

    static func memoryText(_ memory: Int32) -> String { FileIdentity(of: memory)?.text ?? "" }

    /// Nil for bytes that are none.
    init?(_ bytes: [UInt8]) {
        guard let entry = try? CBORCodec().decode(NameEntry.self, from: bytes),
            (1...HandleNote.longestName).contains(entry.note.name.utf8.count),
            entry.stamp <= MonotonicInstant.now.nanoseconds
        else { return nil }
        self = entry
    }

    func bytes() throws -> [UInt8] {
        let bytes = try CBORCodec().encode(self)
        guard bytes.count <= ParkedDescriptors.longestPacket else {
            throw SystemError("sendmsg", .invalidArgument, on: "a name with \(bytes.count) bytes")
        }
        return bytes
    }

    /// A name is its registrant's while that lives, and belongs to the memory, not to the handle. The successor of a
    /// worker or of a managed process need not wait for its predecessor's end.
    func mayBeReplaced(by new: NameEntry) -> Bool {
        if memory == new.memory, !memory.isEmpty { return true }
        if slot != 0, slot == new.slot, spawn < new.spawn { return true }
        return !ProcessIdentity(pid: pid, startTime: startTime).isAlive
    }
}
