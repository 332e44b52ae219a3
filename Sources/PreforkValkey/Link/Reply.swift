// A server's answer, as a value.

#if Valkey
    package indirect enum Reply: Hashable, Sendable {
        /// Nothing there.
        case null
        case integer(Int64)
        case bytes([UInt8])
        /// A word such as `OK`.
        case status(String)
        /// The server's error text, such as `WRONGTYPE Operation against a key holding the wrong kind of value`.
        case error(String)
        case array([Reply])
        /// Of a type that belongs to a protocol which was not requested.
        case unknown(Int32)

        var isOK: Bool { self == .status("OK") }

        /// The first word of an error, such as `WRONGTYPE`.
        var errorCode: Substring? {
            guard case .error(let text) = self else { return nil }
            return text.prefix { $0 != " " }
        }

        /// What kind of reply it is, for an error text that must not show its content.
        var form: String {
            switch self {
            case .null: "nothing"
            case .integer: "an integer"
            case .bytes: "a string"
            case .status: "a status"
            case .error: "an error"
            case .array(let elements): "an array of \(elements.count)"
            case .unknown(let type): "a reply of type \(type)"
            }
        }
    }
#endif
