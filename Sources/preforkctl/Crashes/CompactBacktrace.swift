// Addresses of another process as values of the toolchain's Runtime module, which names them.
//
// `Backtrace` and `ImageMap` are made for the process that they are captured in. Other processes get them by their
// Codable form, which is base64 text of two documented formats (docs/CompactBacktraceFormat.md and
// docs/CompactImageMapFormat.md of the Swift project, version 0).

/// A file of code, where it lay in the memory of the process.
struct CodeImage: Hashable {
    var path: String
    var base: UInt64
    /// The end of its last function that is asked for, at least.
    var end: UInt64
    var buildID: [UInt8]
}

/// A frame's place: an instruction, or where a call returns to.
struct CodeAddress: Hashable {
    var address: UInt64
    var isReturn: Bool
}

enum CompactBacktrace {
    /// Version 0, words of 64 bits.
    private static let head: UInt8 = 2

    static func frames(_ frames: [CodeAddress]) -> String {
        var bytes = [head]
        for frame in frames {
            // An absolute address of eight bytes: 0001 1111 is a program counter, 0010 1111 a return address.
            bytes.append(frame.isReturn ? 0x2F : 0x1F)
            bytes += bigEndian(frame.address)
        }
        return base64(bytes + [0])
    }

    /// - Parameter images: in the order of their bases.
    static func images(_ images: [CodeImage]) -> String {
        // The platform's name, of which the format's description says nothing (Swift 6.3), comes first.
        let platform = Array("Linux".utf8)
        var bytes = [head] + number(platform.count) + platform + number(images.count)
        for image in images {
            // Eight bytes of base, eight of length.
            bytes.append(0x3F)
            bytes += bigEndian(image.base) + bigEndian(image.end &- image.base)
            bytes += number(image.buildID.count) + image.buildID + string(image.path)
        }
        return base64(bytes)
    }

    private static func bigEndian(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
    }

    /// Seven bits in each byte, the highest first. The top bit says that more follow.
    private static func number(_ number: Int) -> [UInt8] {
        var bytes = [UInt8(number & 0x7F)]
        var rest = number >> 7
        while rest > 0 {
            bytes.insert(UInt8(rest & 0x7F) | 0x80, at: 0)
            rest >>= 7
        }
        return bytes
    }

    /// In pieces of at most 63 bytes, without the format's compression of paths.
    private static func string(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(63)
            bytes.append(UInt8(piece.count))
            bytes += piece
            rest = rest.dropFirst(piece.count)
        }
        return bytes + [0]
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for place in 0..<4 {
                text.append(place <= group.count ? letters[Int(bits >> (18 - 6 * UInt32(place)) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
