// What happens to a request between PreforkHTTP and a responder of Hummingbird.

import HTTPTypes
import Hummingbird
import Logging
import Prefork
import PreforkHTTP
import PreforkHTTPTypes

/// Gives requests to a responder, and its responses to the server.
///
/// Inlinable, so that a program has it for its own responder and context. `nonisolated(nonsending)`, because each
/// change of executor costs, also where there is but one.
@usableFromInline
struct ResponderHandler<Responder: HTTPResponder>: Sendable
where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
    @usableFromInline let responder: Responder
    @usableFromInline let logger: Logger
    @usableFromInline let channels: ServerChannel
    /// What each response has.
    private let fields: PreforkHTTP.HTTPFields
    private let hasServerName: Bool

    @usableFromInline
    init(
        _ responder: Responder, serverName: String?, logger: Logger, listener: Prefork.SocketAddress
    ) throws(PreforkHTTP.HTTPError) {
        self.responder = responder
        self.logger = logger
        channels = ServerChannel(listener)
        var fields = PreforkHTTP.HTTPFields()
        if let serverName { try fields.append("Server", serverName) }
        self.fields = fields
        hasServerName = serverName != nil
    }

    @inlinable
    nonisolated(nonsending) func respond(to request: PreforkHTTP.HTTPRequest) async throws -> PreforkHTTP.HTTPResponse {
        let incoming = Request(request)
        let response = try await withLogger(requestLogger()) { logger in
            let context = Responder.Context(source: channels.source(for: request, logger))
            do {
                return try await responder.respond(to: incoming, context: context)
            } catch let error as PreforkHTTP.HTTPError {
                // The request could not be read. The server knows the status of that.
                throw error
            } catch {
                logger.debug("Unrecognised Error", metadata: ["error.type": "\(error)"])
                return Response(status: .internalServerError, body: .init())
            }
        }
        return try await outgoing(response, isHead: request.method == .head)
    }

    @usableFromInline
    func requestLogger() -> Logger {
        var logger = logger
        logger.handler = RequestLogHandler(logger.handler, RequestID())
        return logger
    }

    @usableFromInline
    nonisolated(nonsending) func outgoing(
        _ response: Response, isHead: Bool
    ) async throws -> PreforkHTTP.HTTPResponse {
        let status = HTTPStatus(response.status) ?? .internalServerError
        let hasNoBody = isHead || status == .noContent || status == .notModified
        var fields = self.fields
        var length = response.body.contentLength
        for field in response.headers {
            switch field.name {
            // The server's own, as with Hummingbird.
            case .date: continue
            case .server where hasServerName: continue
            case .contentLength:
                // What a GET would have. Else the server counts.
                if isHead { try fields.append(field) }
                if length == nil { length = Int(field.value).flatMap { $0 < 0 ? nil : $0 } }
            default: try fields.append(field)
            }
        }
        if hasNoBody || length == 0 {
            // It may do more than write, such as to end a span.
            do { try await response.body.write(NoBodyWriter()) } catch is NoBodyWriter.HasBody {}
            return PreforkHTTP.HTTPResponse(status: status, fields: fields)
        }
        let body = response.body
        return .stream(count: length, status: status, fields: fields) { writer in
            try await body.write(ConnectionBodyWriter(writer: writer))
        }
    }
}

extension Request {
    /// A request that PreforkHTTP has read.
    @usableFromInline
    init(_ request: PreforkHTTP.HTTPRequest) {
        let body = request.body
        self.init(
            head: HTTPTypes.HTTPRequest(request),
            body: body.count == 0 ? noBody : RequestBody(asyncSequence: BodyBuffers(body: body)))
    }
}

/// Of requests without a body: nothing to read, and nothing to allocate.
private let noBody = RequestBody(asyncSequence: NoBuffers())
