// The facts about a store that a process needs before it can use its memory.

import PreforkSystem

/// The layout and the secrets of a store.
///
/// The process that made the store knows them, and so does every process it forks. The next image of a program that
/// re-executes itself gets them as text with the descriptors (`Handover`). Only a program that was given descriptors
/// alone reads them from the store's header, once: every process that writes to the store can write there, too.
package struct StoreForm: Sendable {
    let layout: StoreLayout
    let secrets: KeyHash.Secrets

    init(_ table: StoreTable) {
        layout = table.layout
        secrets = table.secrets
    }

    /// As hexadecimal words: the layout's version and size, the capacity, whether it evicts, and the secrets.
    var text: String {
        ([Header.versionValue, UInt64(layout.byteCount)] + layout.capacityWords + secrets.words)
            .map { String($0, radix: 16) }.joined(separator: " ")
    }

    /// - Parameters:
    ///   - text: what `text` was in the last image of this program.
    ///   - capacity: what this image requests.
    /// - Throws: `.notAStore` for the text of another version of this package, and for another capacity than the last
    ///   image has requested. `.badArgument` for an invalid capacity.
    init(text: String, _ capacity: StoreCapacity, evicts: Bool) throws(StoreError) {
        layout = try StoreLayout(capacity, evicts: evicts)
        let words = text.split(separator: " ").map { UInt64($0, radix: 16) }
        let known = words.compactMap { $0 }
        guard let version = known.first, known.count == words.count else {
            throw StoreError(.notAStore("a handover without the store's form"))
        }
        guard known.count == 10, version == Header.versionValue else {
            throw StoreError(.notAStore("layout \(version), not \(Header.versionValue)"))
        }
        guard Array(known[2..<6]) == layout.capacityWords else {
            let (before, now) = (StoreLayout.text(Array(known[2..<6])), StoreLayout.text(layout.capacityWords))
            throw StoreError(.notAStore("it was made with \(before), and this program makes it with \(now)"))
        }
        guard known[1] == UInt64(layout.byteCount) else {
            throw StoreError(.notAStore("\(known[1]) bytes, not \(layout.byteCount)"))
        }
        secrets = KeyHash.Secrets(a: known[6], b: known[7], c: known[8], d: known[9])
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

extension StoreLayout {
    /// All that the program has a say in.
    fileprivate var capacityWords: [UInt64] {
        [UInt64(capacity.entries), UInt64(capacity.bytes), UInt64(capacity.publishLog), evicts ? 1 : 0]
    }

    /// - Parameter words: four, as `capacityWords`.
    fileprivate static func text(_ words: [UInt64]) -> String {
        let whenFull = words[3] == 0 ? WhenFull.refuse : .evictLeastRecentlyUsed
        return "\(words[0]) entries, \(words[1]) bytes, a publish log of \(words[2]) bytes and `\(whenFull)`"
    }
}

extension KeyHash.Secrets {
    static var random: Self {
        func word() -> UInt64 { .random(in: 0 ... .max) }
        return Self(a: word(), b: word(), c: word(), d: word())
    }

    var words: [UInt64] { [a, b, c, d] }
}
