// The memory and the descriptors behind a channel, made or left by the image before.

import PreforkSystem

struct ChannelParts: ~Copyable {
    /// By which the next image of the program comes to the memory; nil: it gets no such image.
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

    /// - Parameter isHandedOver: whether there may be a next image of the program, which goes on with the channel.
    static func make(byteCount: Int, isHandedOver: Bool) throws(SystemError) -> ChannelParts {
        guard isHandedOver else {
            return ChannelParts(
                nil, try SharedMapping(byteCount: byteCount), creatorBell: try Bell(), peerBell: try Bell(),
                messagePackets: try PacketPair(), replyPackets: try PacketPair())
        }
        let file = try MemoryFile(name: "prefork-channel", byteCount: byteCount)
        let mapping = try SharedMapping(keepingWhole: file, byteCount: byteCount)
        return ChannelParts(
            .some(file), mapping, creatorBell: try Bell(), peerBell: try Bell(),
            messagePackets: try PacketPair(), replyPackets: try PacketPair())
    }

    /// - Parameter descriptors: as `descriptors` were in the image before; these parts' from now on.
    static func adopt(_ descriptors: [Int32], byteCount: Int) throws(SystemError) -> ChannelParts {
        guard descriptors.count == 7 else {
            throw SystemError("mmap", .invalidArgument, on: "\(descriptors.count) descriptors of a channel")
        }
        let file = MemoryFile(owning: Descriptor(owning: descriptors[0]))
        guard try file.sealedByteCount() == byteCount else {
            throw SystemError("mmap", .invalidArgument, on: "the memory of a channel")
        }
        let mapping = try SharedMapping(keepingWhole: file, byteCount: byteCount)
        return ChannelParts(
            .some(file), mapping, creatorBell: try Bell(adopting: Descriptor(owning: descriptors[1])),
            peerBell: try Bell(adopting: Descriptor(owning: descriptors[2])),
            messagePackets: PacketPair(adopting: descriptors[3], descriptors[4]),
            replyPackets: PacketPair(adopting: descriptors[5], descriptors[6]))
    }

    /// For the next image; empty: it gets none.
    var descriptors: [Int32] {
        switch file {
        case .some(let file):
            [file.descriptor.number, creatorBell.descriptor.number, peerBell.descriptor.number]
                + messagePackets.numbers + replyPackets.numbers
        case .none: []
        }
    }
}

/// What both images of a program must agree on before the next one goes on with a channel.
struct ChannelForm: Equatable {
    /// Another one whenever the layout of `ChannelMemory` or of a record changes.
    private static let version = 1

    /// Of a ring for messages, in bytes.
    let capacity: Int
    let messageLimit: Int

    var text: String { "\(Self.version) \(capacity) \(messageLimit)" }

    /// Why a program that makes the channel like this cannot go on with one that was left with `text`; nil: it can.
    func objection(toText text: String) -> String? {
        if text == self.text { return nil }
        let words = text.split(separator: " ").compactMap { Int($0) }
        guard words.count == 3, words[0] == Self.version else { return "it has another layout" }
        let before = ChannelForm(capacity: words[1], messageLimit: words[2])
        return "it was made with \(before.words), and this program makes it with \(self.words)"
    }

    private var words: String { "rings of \(capacity) bytes and messages of at most \(messageLimit) bytes" }
}
