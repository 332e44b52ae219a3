// The memory and the descriptors behind a channel, made here or left by the previous image.

import PreforkSystem

struct ChannelParts: ~Copyable {
    /// How the next image of the program, and other processes, get the memory. If nil, they do not.
    private let file: MemoryFile?
    let mapping: SharedMapping
    let creatorBell: Bell
    let peerBell: Bell
    let messagePackets: PacketPair
    let replyPackets: PacketPair

    private init(
        _ file: consuming MemoryFile?, _ mapping: consuming SharedMapping, creatorBell: consuming Bell,
        peerBell: consuming Bell, messagePackets: consuming PacketPair, replyPackets: consuming PacketPair
    ) {
        self.file = file
        self.mapping = mapping
        self.creatorBell = creatorBell
        self.peerBell = peerBell
        self.messagePackets = messagePackets
        self.replyPackets = replyPackets
    }

    static func make(byteCount: Int, _ reach: MemoryReach) throws(SystemError) -> ChannelParts {
        guard reach != .children else {
            return ChannelParts(
                nil, try SharedMapping(byteCount: byteCount), creatorBell: try Bell(), peerBell: try Bell(),
                messagePackets: try PacketPair(), replyPackets: try PacketPair())
        }
        let file = try MemoryFile(name: "prefork-channel", byteCount: byteCount)
        let mapping = try reach.map(file, byteCount: byteCount)
        return ChannelParts(
            .some(file), mapping, creatorBell: try Bell(), peerBell: try Bell(),
            messagePackets: try PacketPair(), replyPackets: try PacketPair())
    }

    /// - Parameter descriptors: as `descriptors` were in the previous image. They belong to these parts from now on.
    static func adopt(
        _ descriptors: [Int32], byteCount: Int, _ reach: MemoryReach
    ) throws(SystemError) -> ChannelParts {
        guard descriptors.count == 7 else {
            throw SystemError("mmap", .invalidArgument, on: "\(descriptors.count) descriptors of a channel")
        }
        let file = MemoryFile(owning: Descriptor(owning: descriptors[0]))
        guard try file.sealedByteCount() == byteCount else {
            throw SystemError("mmap", .invalidArgument, on: "the memory of a channel")
        }
        let mapping = try reach.map(file, byteCount: byteCount)
        return ChannelParts(
            .some(file), mapping, creatorBell: try Bell(adopting: Descriptor(owning: descriptors[1])),
            peerBell: try Bell(adopting: Descriptor(owning: descriptors[2])),
            messagePackets: PacketPair(adopting: descriptors[3], descriptors[4]),
            replyPackets: PacketPair(adopting: descriptors[5], descriptors[6]))
    }

    /// How many descriptors travel for a channel.
    static let descriptorCount = 7

    /// Of another process, and looked at by `ArrivedHandle.check`.
    static func open(_ descriptors: [Int32], byteCount: Int) throws(SystemError) -> ChannelParts {
        let file = MemoryFile(owning: Descriptor(owning: descriptors[0]))
        let creatorBell = try Bell(adopting: Descriptor(owning: descriptors[1]))
        let peerBell = try Bell(adopting: Descriptor(owning: descriptors[2]))
        let messagePackets = PacketPair(adopting: descriptors[3], descriptors[4], isForeign: true)
        let replyPackets = PacketPair(adopting: descriptors[5], descriptors[6], isForeign: true)
        guard try file.sealedByteCount() == byteCount else {
            throw SystemError("mmap", .invalidArgument, on: "the memory of a channel, which has not \(byteCount) bytes")
        }
        let mapping = try SharedMapping(file, byteCount: byteCount)
        return ChannelParts(
            .some(file), mapping, creatorBell: creatorBell, peerBell: peerBell, messagePackets: messagePackets,
            replyPackets: replyPackets)
    }

    /// The identity of the memory. If nil, it has no file.
    var identity: FileIdentity? {
        switch file {
        case .some(let file): FileIdentity(of: file.descriptor.number)
        case .none: nil
        }
    }

    /// For the next image, and for other processes. If empty, they get no descriptors.
    var descriptors: [Int32] {
        switch file {
        case .some(let file):
            [file.descriptor.number, creatorBell.descriptor.number, peerBell.descriptor.number]
                + messagePackets.numbers + replyPackets.numbers
        case .none: []
        }
    }
}

/// What both images of a program must agree on before the next one continues with a channel.
struct ChannelForm: Equatable {
    /// Another one whenever the layout of `ChannelMemory` or of a record changes.
    private static let version = 2

    /// Of a ring for messages, in bytes.
    let capacity: Int
    let messageLimit: Int

    var text: String { "\(Self.version) \(capacity) \(messageLimit)" }

    /// Why a program that makes the channel like this cannot continue with one that was left with `text`. If nil, it
    /// can.
    func objection(toText text: String) -> String? {
        if text == self.text { return nil }
        let words = text.split(separator: " ").compactMap { Int($0) }
        guard words.count == 3, words[0] == Self.version else { return "it has another layout" }
        let before = ChannelForm(capacity: words[1], messageLimit: words[2])
        return "it was made with \(before.words), and this program makes it with \(self.words)"
    }

    /// What another process says of a channel that it sends.
    ///
    /// - Returns: nil for another layout, and for sizes that no channel has.
    init?(arriving text: String) {
        let words = text.split(separator: " ").map { Int($0) }
        guard words.count == 3, words[0] == Self.version, let capacity = words[1], let limit = words[2],
            (4096...1 << 30).contains(capacity), capacity & (capacity - 1) == 0, (1..<Int(UInt32.max)).contains(limit)
        else { return nil }
        self.init(capacity: capacity, messageLimit: limit)
    }

    init(capacity: Int, messageLimit: Int) {
        self.capacity = capacity
        self.messageLimit = messageLimit
    }

    /// Of a ring for replies.
    var replyCapacity: Int { max(4096, capacity / 4) }

    var byteCount: Int { 4096 + 2 * capacity + 2 * replyCapacity }

    private var words: String { "rings of \(capacity) bytes and messages of at most \(messageLimit) bytes" }
}
