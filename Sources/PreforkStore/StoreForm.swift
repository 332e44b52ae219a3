// What a process must know of a store before it can use its memory.

import PreforkSystem

/// The layout and the secrets of a store.
///
/// The process that made the store knows them, and so does every process it forks. The next image of a program that
/// re-executes itself gets them as text beside the descriptors (`Handover`). Only a program that was given descriptors
/// alone reads them from the store's header, once: every process that writes to the store can write there, too.
package struct StoreForm: Sendable {
    let layout: StoreLayout
    let secrets: KeyHash.Secrets

    init(_ table: StoreTable) {
        layout = table.layout
        secrets = table.secrets
    }

    /// The secrets, for a store of the same capacity. The layout's version and size come first.
    var text: String {
        ([Header.versionValue, UInt64(layout.byteCount)] + secrets.words).map { String($0, radix: 16) }
            .joined(separator: " ")
    }

    /// - Parameters:
    ///   - text: what `text` was in the last image of this program.
    ///   - capacity: what this image asks for, which the last one has asked for, too.
    /// - Throws: `.notAStore` for the text of another version of this package; `.badArgument` for the capacity.
    init(text: String, _ capacity: StoreCapacity, evicts: Bool) throws(StoreError) {
        layout = try StoreLayout(capacity, evicts: evicts)
        let words = text.split(separator: " ").map { UInt64($0, radix: 16) }
        guard words.count == 6, !words.contains(nil) else {
            throw StoreError(.notAStore("a handover without the store's form"))
        }
        let known = words.compactMap { $0 }
        guard known[0] == Header.versionValue, known[1] == UInt64(layout.byteCount) else {
            throw StoreError(.notAStore("layout \(known[0]), not \(Header.versionValue)"))
        }
        secrets = KeyHash.Secrets(a: known[2], b: known[3], c: known[4], d: known[5])
    }

    /// What the header of a store in a file says, if there is one. Each word is read once.
    ///
    /// - Parameter size: the file's, which is sealed.
    init(readFrom file: borrowing MemoryFile, size: Int) throws(StoreError) {
        guard size >= 8192 else { throw StoreError(.notAStore("only \(size) bytes")) }
        let header: SharedMapping
        do throws(SystemError) {
            header = try SharedMapping(file, byteCount: 4096)
        } catch {
            throw StoreError(error)
        }
        let words = SharedWords(base: header.base)
        guard words.acquire(Header.magic) == Header.magicValue else { throw StoreError(.notAStore("no magic word")) }
        let version = words[Header.version]
        guard version == Header.versionValue else {
            throw StoreError(.notAStore("layout \(version), not \(Header.versionValue)"))
        }
        let capacity = StoreCapacity(
            entries: Int(clamping: words[Header.entries]), bytes: Int(clamping: words[Header.bytes]),
            publishLog: Int(clamping: words[Header.publishLog]))
        layout = try StoreLayout(capacity, evicts: words[Header.evicts] != 0)
        guard layout.byteCount == size else { throw StoreError(.notAStore("\(size) bytes, not \(layout.byteCount)")) }
        secrets = KeyHash.Secrets(
            a: words[Header.secrets], b: words[Header.secrets + 8], c: words[Header.secrets + 16],
            d: words[Header.secrets + 24])
    }
}

extension KeyHash.Secrets {
    static var random: Self {
        func word() -> UInt64 { .random(in: 0 ... .max) }
        return Self(a: word(), b: word(), c: word(), d: word())
    }

    var words: [UInt64] { [a, b, c, d] }
}
