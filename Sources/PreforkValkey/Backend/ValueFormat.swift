// The form of a value on the server.

#if Valkey
    package import PreforkStore

    /// A `StoredValue` as the bytes of a server's string, and back.
    ///
    /// | value | bytes on the server |
    /// |---|---|
    /// | an integer (`.integer` with its eight bytes) | its decimal text as INCRBY writes it: `-12`, `0`, `7` |
    /// | anything else | one byte, the `ValueKind`'s raw value (1 to 7), then the value's bytes as they are |
    ///
    /// Decimal text starts with a digit or a minus sign (48 to 57, 45), which no kind's number is. Whatever is neither,
    /// for example `hello` set by `redis-cli`, was not written by this module.
    ///
    /// Numbers other than integers are in the machine's byte order. All machines of one server must agree in it (all
    /// that Swift runs Linux on are little-endian).
    package enum ValueFormat {
        /// What `.integer` must have for its decimal text to be the whole truth.
        private static let integerSize = 8

        package static func bytes(of value: StoredValue) -> [UInt8] {
            if value.kind == .integer, value.bytes.count == integerSize {
                let number = value.bytes.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
                return Array(String(number).utf8)
            }
            return [value.kind.rawValue] + value.bytes
        }

        /// - Returns: nil for bytes that `bytes(of:)` never makes.
        package static func value(of bytes: some Collection<UInt8>) -> StoredValue? {
            guard let first = bytes.first else { return nil }
            if let kind = ValueKind(rawValue: first) {
                let rest = Array(bytes.dropFirst())
                // An integer's eight bytes have one form only, or equal values would differ on the server.
                return kind == .integer && rest.count == integerSize ? nil : StoredValue(kind: kind, bytes: rest)
            }
            return integer(bytes).map { StoredValue($0) }
        }

        /// The number of a canonical decimal text: no plus, no leading zero, no `-0`, within Int64.
        private static func integer(_ text: some Collection<UInt8>) -> Int64? {
            guard text.count <= 20, let number = Int64(String(decoding: text, as: UTF8.self)) else { return nil }
            return String(number).utf8.elementsEqual(text) ? number : nil
        }
    }
#endif
