// Entity tags (RFC 9110, section 8.8.3).

/// The validator of one version of a file.
struct EntityTag: Equatable, Sendable {
    /// With its quotes.
    let opaque: String
    let isWeak: Bool

    /// As a field has it.
    var text: String { isWeak ? "W/" + opaque : opaque }

    /// Both are strong and the same (section 8.8.3.2).
    func matchesStrongly(_ other: EntityTag) -> Bool { !isWeak && !other.isWeak && opaque == other.opaque }

    /// The same, whether strong or weak.
    func matchesWeakly(_ other: EntityTag) -> Bool { opaque == other.opaque }
}

extension EntityTag {
    /// How long after its last change a file has a strong tag. The kernel's time of a change has steps of some
    /// milliseconds, in which a file can change twice. Apache does the same, with one second.
    private static let settled: Int64 = 2_000_000_000

    /// Of a file by its inode, its size and the time of its last change.
    ///
    /// - Parameter now: in nanoseconds since 1970.
    init(inode: UInt64, size: Int, modified: Int64, now: Int64) {
        // Mixed, so that a client does not learn the inode's number: each step is one of SplitMix64.
        var word = inode
        for next in [UInt64(bitPattern: Int64(size)), UInt64(bitPattern: modified)] {
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            word = (word ^ (word >> 31)) &+ next &* 0x9E37_79B9_7F4A_7C15
        }
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        opaque = "\"" + String(word ^ (word >> 31), radix: 16) + "-" + String(size, radix: 16) + "\""
        isWeak = !Self.isStrong(modified: modified, now: now)
    }

    /// Whether the tag of a file is strong at the time `now`.
    static func isStrong(modified: Int64, now: Int64) -> Bool {
        // The age may be absurd: then it wraps, and the tag stays weak or becomes strong, without a trap.
        now >= modified && now &- modified >= settled
    }
}

/// The value of If-Match or If-None-Match.
enum EntityTagList: Equatable {
    /// `*`
    case any
    case tags([EntityTag])

    /// - Parameter values: of all fields of that name.
    /// - Returns: nil without such a field. What is no tag, and what follows it, is left out.
    init?(_ values: [String]) {
        guard !values.isEmpty else { return nil }
        if values.count == 1, values[0] == "*" {
            self = .any
        } else {
            self = .tags(values.flatMap(Self.parse))
        }
    }

    private static func parse(_ value: String) -> [EntityTag] {
        var tags: [EntityTag] = []
        var rest = Array(value.utf8)[...]
        let isBetween: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: ",") }
        while true {
            rest = rest.drop(while: isBetween)
            let isWeak = rest.starts(with: "W/".utf8)
            if isWeak { rest = rest.dropFirst(2) }
            guard rest.first == UInt8(ascii: "\"") else { return tags }
            let inner = rest.dropFirst()
            // etagc: no control, no space, no quote.
            guard let end = inner.firstIndex(where: { $0 == UInt8(ascii: "\"") || $0 <= 0x20 || $0 == 0x7F }),
                inner[end] == UInt8(ascii: "\"")
            else { return tags }
            tags.append(EntityTag(opaque: String(decoding: rest[rest.startIndex...end], as: UTF8.self), isWeak: isWeak))
            rest = rest[(end + 1)...]
            guard rest.first.map(isBetween) ?? true else { return tags.dropLast() }
        }
    }
}

extension EntityTag {
    /// One tag and nothing else, as If-Range has it.
    init?(_ value: String) {
        guard case .tags(let tags) = EntityTagList([value]), tags.count == 1, tags[0].text == value else { return nil }
        self = tags[0]
    }

    private init(_ tag: EntityTag) { self = tag }
}
