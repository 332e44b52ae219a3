// Header fields of swift-http-types and of PreforkHTTP.

import HTTPTypes
import PreforkHTTP

extension HTTPTypes.HTTPFields {
    /// The same fields in the same order.
    ///
    /// Those of a request have `Host`, which swift-http-types keeps elsewhere: see `HTTPTypes.HTTPRequest.init(_:)`.
    /// `Cookie` is not split.
    ///
    /// - Parameter fields: of a request, of a response, or trailers. Bytes that are not UTF-8 become U+FFFD.
    public init(_ fields: PreforkHTTP.HTTPFields) {
        self.init(fields, hasHost: true)
    }

    /// - Parameter hasHost: if false, the first `Host` is left out.
    init(_ fields: PreforkHTTP.HTTPFields, hasHost: Bool) {
        self.init()
        let count = hasHost ? fields.count : fields.count - 1
        if count > 0 { reserveCapacity(count) }
        var hasHost = hasHost
        fields.forEachField { name, value in
            // Looked at before a `Name` is made of it, which costs more than all else here.
            if !hasHost, name.isHost {
                hasHost = true
                return
            }
            // What PreforkHTTP has read or accepted is a token.
            guard let name = HTTPField.Name(String(decoding: name, as: UTF8.self)) else { return }
            append(HTTPField(name: name, value: String(decoding: value, as: UTF8.self)))
        }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var isHost: Bool {
        // The bit of small letters. No other character of a token becomes one of these by it.
        count == 4 && (loadUnaligned(as: UInt32.self) | 0x2020_2020) == UInt32(bigEndian: 0x686F_7374)
    }
}

extension PreforkHTTP.HTTPFields {
    /// The same fields in the same order.
    ///
    /// - Parameter fields: for a response, or trailers. See `PreforkHTTP.HTTPFields.append` for those that the server
    ///   leaves out.
    /// - Throws: `HTTPError` (`.badField`) for a value with a control character, which a lenient `HTTPField` may have.
    public init(_ fields: HTTPTypes.HTTPFields) throws(HTTPError) {
        self.init()
        for field in fields { try append(field) }
    }

    /// Adds a field behind the others.
    ///
    /// - Parameter field: any.
    /// - Throws: as `append(_:_:)`.
    public mutating func append(_ field: HTTPField) throws(HTTPError) {
        try append(field.name.rawName, field.value)
    }
}
