// Responses of swift-http-types.

import HTTPTypes
import PreforkHTTP

extension PreforkHTTP.HTTPStatus {
    /// - Parameter status: its reason phrase is not kept: clients ignore it (RFC 9112, 4).
    /// - Returns: nil for a code that is not within 100...599.
    public init?(_ status: HTTPTypes.HTTPResponse.Status) {
        self.init(status.code)
    }
}

extension PreforkHTTP.HTTPResponse {
    /// A response that PreforkHTTP can send.
    ///
    /// - Parameters:
    ///   - response: status and fields. A status that is not within 200...599 becomes 500.
    ///   - body: empty by default.
    /// - Throws: as `PreforkHTTP.HTTPFields.init(_:)`.
    public init(_ response: HTTPTypes.HTTPResponse, body: Body = .empty) throws(HTTPError) {
        self.init(
            status: HTTPStatus(response.status) ?? .internalServerError,
            fields: try PreforkHTTP.HTTPFields(response.headerFields), body: body)
    }
}
