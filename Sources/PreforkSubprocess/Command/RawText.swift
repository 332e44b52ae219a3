// Text as the kernel takes it.

/// Bytes without NUL that are usually, but need not be, UTF-8: a path, an argument, an environment variable.
///
/// A literal converts implicitly. A String that is a variable needs `RawText(text)`, and an array of them
/// `texts.map { RawText($0) }`. `init(bytes:)` takes bytes that a String cannot hold.
public struct RawText: Hashable, Sendable {
    /// The bytes, without the NUL that ends them for the kernel.
    public var bytes: [UInt8]

    /// Text from bytes, which need not be UTF-8. A NUL byte is accepted here and refused by the start.
    public init(bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
    }

    /// The text's UTF-8. A NUL character is accepted here and refused by the start.
    public init(_ text: some StringProtocol) {
        bytes = Array(text.utf8)
    }

    /// Whether the kernel can take it.
    var isValid: Bool { !bytes.contains(0) }
}

extension RawText: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    public init(stringLiteral text: String) {
        self.init(text)
    }
}

extension RawText: CustomStringConvertible {
    /// As text, with invalid UTF-8 repaired.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
