// The logger of one request.

import Hummingbird
import Logging

/// Writes a request's lines with its `hb.request.id`, through the handler of the server's logger.
///
/// Handlers may make text of their metadata at each change, as swift-log's `StreamLogHandler` does. Most requests write no
/// line, so that one gets the ID when a line is written.
///
/// It has the size that fits into an `any LogHandler` without an allocation: three words.
struct RequestLogHandler: LogHandler {
    private static let key = "hb.request.id"

    private var wrapped: WrappedHandler
    /// nil once the program has put another value in its place.
    private var id: RequestID?

    /// - Parameter handler: of the server's logger, for all of its requests.
    init(_ handler: WrappedHandler, _ id: RequestID) {
        wrapped = handler
        self.id = id
    }

    var logLevel: Logger.Level {
        get { wrapped.handler.logLevel }
        set { change { $0.logLevel = newValue } }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { wrapped.handler.metadataProvider }
        set { change { $0.metadataProvider = newValue } }
    }

    var metadata: Logger.Metadata {
        get { withID.metadata }
        set {
            id = nil
            change { $0.metadata = newValue }
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get {
            if let id, key == Self.key { return .stringConvertible(id) }
            return wrapped.handler[metadataKey: key]
        }
        set {
            if key == Self.key { id = nil }
            change { $0[metadataKey: key] = newValue }
        }
    }

    func log(event: LogEvent) { withID.log(event: event) }

    private var withID: any LogHandler {
        var handler = wrapped.handler
        guard let id else { return handler }
        handler[metadataKey: Self.key] = .stringConvertible(id)
        return handler
    }

    /// The first change of a request's logger makes a handler that is this logger's alone.
    private mutating func change(_ body: (inout any LogHandler) -> Void) {
        var handler = wrapped.handler
        body(&handler)
        wrapped = WrappedHandler(handler)
    }
}

/// The handler of a server's logger. One object for all requests: a reference is copied with less work than a handler.
final class WrappedHandler: Sendable {
    let handler: any LogHandler

    init(_ handler: any LogHandler) { self.handler = handler }
}
