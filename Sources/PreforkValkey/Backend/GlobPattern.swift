// SCAN matches by patterns, but keys are not patterns.

#if Valkey
    package enum GlobPattern {
        /// A pattern of the server's (KEYS, SCAN) that matches what starts with `prefix`, byte by byte.
        package static func startingWith(_ prefix: String) -> [UInt8] {
            var pattern: [UInt8] = []
            for byte in prefix.utf8 {
                switch byte {
                case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "\\"):
                    pattern += [UInt8(ascii: "\\"), byte]
                default:
                    pattern.append(byte)
                }
            }
            return pattern + [UInt8(ascii: "*")]
        }
    }
#endif
