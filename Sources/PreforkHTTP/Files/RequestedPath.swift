// From the path of a request to names below a directory.

/// The names that a request's path consists of, decoded once. No name in it is empty, `.` or `..`, or has a slash or a
/// NUL byte.
struct RequestedPath: Equatable {
    /// Why a path names no file.
    enum Problem: Error, Equatable {
        /// It is no path of RFC 3986: 400.
        case malformed
        /// It can name no file here: 404.
        case noFile
    }

    private static let maxCount = 4_096
    private static let maxNameCount = 255

    let names: [[UInt8]]
    /// It stands for a directory.
    let endsWithSlash: Bool

    /// - Parameters:
    ///   - raw: as it was sent, without the query. It may lack the first slash.
    ///   - hidden: names that begin with a dot.
    init(_ raw: String, hidden: HTTPFiles.HiddenFiles) throws(Problem) {
        guard raw.utf8.count <= Self.maxCount else { throw .noFile }
        let bytes = Array(raw.utf8)
        var names: [[UInt8]] = []
        var start = bytes.first == UInt8(ascii: "/") ? 1 : 0
        // All of it is decoded before a part is refused, so that a malformed path is always malformed.
        while let slash = bytes[start...].firstIndex(of: UInt8(ascii: "/")) {
            guard let name = Self.decode(bytes[start..<slash]) else { throw .malformed }
            names.append(name)
            start = slash + 1
        }
        endsWithSlash = start == bytes.count
        if !endsWithSlash {
            guard let name = Self.decode(bytes[start...]) else { throw .malformed }
            names.append(name)
        }
        guard !names.contains(where: { $0.contains(0) }) else { throw .malformed }
        for (index, name) in names.enumerated() {
            // An empty name is a double slash: merging them would give one file several addresses.
            let isDots = name.count <= 2 && name.allSatisfy { $0 == UInt8(ascii: ".") }
            guard !isDots, name.count <= Self.maxNameCount, !name.contains(UInt8(ascii: "/")) else { throw .noFile }
            if name[0] == UInt8(ascii: "."), !hidden.allows(name, isFirst: index == 0) { throw .noFile }
        }
        self.names = names
    }

    /// The reference from a directory's address without a slash to the one with it. It is relative to the last name, so
    /// that it holds below any prefix and can never name another host.
    var slashReference: String {
        "./" + (names.last.map(Self.encode) ?? "") + "/"
    }

    /// - Returns: nil if a percent sign is not followed by two hexadecimal digits.
    private static func decode(_ part: ArraySlice<UInt8>) -> [UInt8]? {
        guard part.contains(UInt8(ascii: "%")) else { return Array(part) }
        var name: [UInt8] = []
        var rest = part[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                name.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexadecimal, let low = rest.popFirst()?.hexadecimal else { return nil }
            name.append(high << 4 | low)
        }
        return name
    }

    /// Everything but the unreserved characters (RFC 3986, section 2.3) by percent signs.
    private static func encode(_ name: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in name {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.append(byte)
            default: text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
