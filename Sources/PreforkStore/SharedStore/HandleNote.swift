// What travels for a store, a queue or a channel beside its descriptors.

package import PreforkSystem

/// Names a handle's memory to another process, which does not trust it: each word is checked where it is used, and so
/// are the descriptors.
package struct HandleNote: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Sendable { case store, queue, channel }

    package var kind: Kind
    /// Escaped where it is shown.
    package var name: String
    /// The type of its messages, as Swift prints it. Empty for a store.
    package var message: String
    /// What its memory was made with, as for the next image of a program.
    package var form: String
    /// The number of its codec. 0 if it needs no codec.
    package var codec: UInt8
    /// What else its kind has to say.
    package var words: [Int]
    /// Its first descriptor among those that have come along.
    package var first = 0

    package init(kind: Kind, name: String, message: String = "", form: String = "", codec: UInt8 = 0, words: [Int] = [])
    {
        self.kind = kind
        self.name = name
        self.message = message
        self.form = form
        self.codec = codec
        self.words = words
    }

    private enum CodingKeys: String, CodingKey {
        case kind, name, message, form, codec, words, first
    }

    /// No name of a handle is longer, in bytes of UTF-8, where it goes to another process by name.
    package static let longestName = 255

    /// Writes the note, and sends the descriptors along.
    ///
    /// - Parameter owner: keeps them open.
    /// - Throws: `EncodingError` where the value is encoded for something else than a channel.
    package func pack(
        _ descriptors: [Int32], of owner: any AnyObject & Sendable, into encoder: any Encoder
    ) throws {
        guard let first = Luggage.add(descriptors, of: owner) else {
            let text = "a \(kind) can be sent only in the message of a channel, or found by name"
            throw EncodingError.invalidValue(
                self, EncodingError.Context(codingPath: encoder.codingPath, debugDescription: text))
        }
        var note = self
        note.first = first
        try note.encode(to: encoder)
    }
}

/// Why what came is no handle.
package struct HandleRefusal: Error, Equatable {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }

    package static let isBehindWall = HandleRefusal(
        "it was made by another process, and this one supervises children of another user, whose memory it does not use")
}

/// The descriptors of a handle from elsewhere. They are closed unless they are accepted.
package final class ArrivedHandle {
    package let note: HandleNote
    private var descriptors: [Int32]

    package init(_ note: HandleNote, owning descriptors: [Int32]) {
        self.note = note
        self.descriptors = descriptors
    }

    /// Reads the note, and takes what has come along with it.
    ///
    /// - Throws: what the decoder throws; `HandleRefusal`.
    package convenience init(from decoder: any Decoder, _ kind: HandleNote.Kind, count: Int) throws {
        let note = try HandleNote(from: decoder)
        guard Luggage.isArriving else { throw HandleRefusal("it has no descriptors") }
        guard note.kind == kind else { throw HandleRefusal("a \(note.kind)") }
        guard let descriptors = Luggage.take(note.first, count: count) else {
            throw HandleRefusal("its descriptors are missing")
        }
        self.init(note, owning: descriptors)
    }

    deinit {
        for number in descriptors { closeForeignDescriptor(number) }
    }

    /// Which memory it is: of a handle that this process has already, that of the same number.
    package var identity: FileIdentity? { descriptors.first.flatMap { FileIdentity(of: $0) } }

    /// Checks the descriptors: a sealed memory file, `bells` bells, and sockets that keep packets whole.
    ///
    /// - Throws: `HandleRefusal`.
    package func check(bells: Int) throws(HandleRefusal) {
        if Family.isBehindWall { throw .isBehindWall }
        if !MemoryFile.isSealed(descriptors[0]) { throw HandleRefusal("its memory is not a sealed memory file") }
        for number in descriptors[1...bells] where !Bell.isBell(number) {
            throw HandleRefusal("its bell is another kind of descriptor")
        }
        for number in descriptors[(bells + 1)...] where !PacketPair.isEnd(number) {
            throw HandleRefusal("its socket is another kind of descriptor")
        }
    }

    /// Gives the descriptors to the caller.
    package func release() -> [Int32] {
        defer { descriptors = [] }
        return descriptors
    }
}
