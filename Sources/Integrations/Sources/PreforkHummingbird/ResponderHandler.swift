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
    @usableFromInline let exchange: ServerExchange

    @usableFromInline
    init(
        _ responder: Responder, serverName: String?, logger: Logger, listener: Prefork.SocketAddress
    ) throws(PreforkHTTP.HTTPError) {
        self.responder = responder
        exchange = try ServerExchange(serverName: serverName, logger: logger, listener: listener)
    }

    @inlinable
    nonisolated(nonsending) func respond(to request: PreforkHTTP.HTTPRequest) async throws -> PreforkHTTP.HTTPResponse {
        let incoming = Request(request)
        let response = try await withLogger(exchange.requestLogger()) { logger in
            let context = Responder.Context(source: exchange.channels.source(for: request, logger))
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
        let (answer, isBodyLeft) = try exchange.outgoing(response, isHead: request.method == .head)
        if isBodyLeft { try await exchange.finish(response.body) }
        return answer
    }
}

/// What all requests of a server have in common. Not generic: the metadata of a generic type would be looked up for each
/// request.
@usableFromInline
final class ServerExchange: Sendable {
    private let label: String
    private let logHandler: WrappedHandler
    @usableFromInline let channels: ServerChannel
    /// What each response has.
    private let fields: PreforkHTTP.HTTPFields
    private let hasServerName: Bool

    init(
        serverName: String?, logger: Logger, listener: Prefork.SocketAddress
    ) throws(PreforkHTTP.HTTPError) {
        label = logger.label
        logHandler = WrappedHandler(logger.handler)
        channels = ServerChannel(listener)
        var fields = PreforkHTTP.HTTPFields()
        if let serverName { try fields.append("Server", serverName) }
        self.fields = fields
        hasServerName = serverName != nil
    }

    @usableFromInline
    func requestLogger() -> Logger {
        // Made anew: a copy that gets another handler would first copy the old one.
        Logger(label: label) { _ in RequestLogHandler(logHandler, RequestID()) }
    }

    /// - Returns: the response, and whether the body has no place in it, but must run all the same.
    @usableFromInline
    func outgoing(_ response: Response, isHead: Bool) throws -> (PreforkHTTP.HTTPResponse, isBodyLeft: Bool) {
        let status = HTTPStatus(response.status) ?? .internalServerError
        let hasNoBody = isHead || status == .noContent || status == .notModified
        var fields = self.fields
        var length = response.body.contentLength
        for field in response.headers {
            switch ServersField(field.name) {
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
        if hasNoBody || length == 0 { return (PreforkHTTP.HTTPResponse(status: status, fields: fields), true) }
        let body = response.body
        let stream = PreforkHTTP.HTTPResponse.Body.stream(count: length) { writer in
            try await body.write(ConnectionBodyWriter(writer: writer))
        }
        return (PreforkHTTP.HTTPResponse(status: status, fields: fields, body: stream), false)
    }

    /// Runs a body that nothing is sent of: it may do more than write, such as to end a span.
    @usableFromInline
    nonisolated(nonsending) func finish(_ body: ResponseBody) async throws {
        do { try await body.write(NoBodyWriter()) } catch is NoBodyWriter.HasBody {}
    }
}

/// A field that the server has a say in.
private enum ServersField {
    case date, server, contentLength

    /// nil for other fields. By the length first, which tells most names apart without a comparison.
    init?(_ name: HTTPField.Name) {
        switch name.canonicalName.utf8.count {
        case 4 where name == .date: self = .date
        case 6 where name == .server: self = .server
        case 14 where name == .contentLength: self = .contentLength
        default: return nil
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
