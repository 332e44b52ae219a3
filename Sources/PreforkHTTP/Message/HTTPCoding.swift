// Values in bodies, by whatever decoder and encoder a program has: this module links none.

/// Makes values of the bytes of a body. `JSONDecoder` of Foundation becomes one by two lines:
///
/// ```swift
/// extension JSONDecoder: @retroactive HTTPBodyDecoder {
///     public func value<Value: Decodable>(_ type: Value.Type, of bytes: [UInt8]) throws -> Value {
///         try decode(type, from: Data(bytes))
///     }
/// }
/// ```
///
/// Its method is not named `decode`, so that no call of a decoder's own methods becomes ambiguous.
public protocol HTTPBodyDecoder {
    /// The value that the bytes say.
    ///
    /// - Parameters:
    ///   - type: of the value.
    ///   - bytes: a whole body. It may be empty.
    /// - Throws: whatever says that the bytes are no such value.
    func value<Value: Decodable>(_ type: Value.Type, of bytes: [UInt8]) throws -> Value
}

/// Makes the bytes of a body of values. See `HTTPBodyDecoder`.
public protocol HTTPBodyEncoder {
    /// The bytes that say this value.
    ///
    /// - Parameter value: of any type that can be encoded.
    /// - Throws: what prevents that.
    func bytes(of value: some Encodable) throws -> [UInt8]
}

extension HTTPBody {
    /// The whole body as a value.
    ///
    /// ```swift
    /// let item = try await request.body.decode(as: Item.self, by: JSONDecoder())
    /// ```
    ///
    /// Whether `Content-Type` says what the decoder reads is not checked.
    ///
    /// - Parameters:
    ///   - type: of the value.
    ///   - decoder: reads the bytes.
    ///   - limit: as of `collect`.
    /// - Throws: as `collect`. `HTTPError` (`.undecodableBody`) for what `decoder` throws: if the handler lets it pass, the
    ///   response is 400, and the connection is kept.
    public func decode<Value: Decodable>(
        as type: Value.Type = Value.self, by decoder: some HTTPBodyDecoder, limit: Int? = nil
    ) async throws -> Value {
        let bytes = try await collect(limit: limit)
        do { return try decoder.value(type, of: bytes) } catch {
            throw HTTPError(.undecodableBody(reason: "\(error)"))
        }
    }
}

extension HTTPResponse {
    /// A value as JSON: `try .json(item, by: JSONEncoder())`.
    ///
    /// - Parameters:
    ///   - value: what the body says.
    ///   - encoder: makes JSON. The response's type is `application/json`.
    ///   - status: 200 by default.
    /// - Throws: what `encoder` throws. If the handler lets it pass, the response is 500.
    public static func json(
        _ value: some Encodable, by encoder: some HTTPBodyEncoder, status: HTTPStatus = .ok
    ) throws -> HTTPResponse {
        .json(try encoder.bytes(of: value), status: status)
    }
}
