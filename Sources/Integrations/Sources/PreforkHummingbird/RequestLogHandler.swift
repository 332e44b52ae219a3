// The logger of one request.

import Hummingbird
import Logging

/// Writes a request's lines with its `hb.request.id`, through the handler of the server's logger.
///
/// Handlers may make text of their metadata at each change, as swift-log's `StreamLogHandler` does. Most requests write no
/// line, so that one gets the ID when a line is written.
struct RequestLogHandler: LogHandler {
    private static let key = "hb.request.id"

    private var handler: any LogHandler
    /// nil once the program has put another value in its place.
    private var id: RequestID?

    init(_ handler: any LogHandler, _ id: RequestID) {
        self.handler = handler
        self.id = id
    }

    var logLevel: Logger.Level {
        get { handler.logLevel }
        set { handler.logLevel = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { handler.metadataProvider }
        set { handler.metadataProvider = newValue }
    }

    var metadata: Logger.Metadata {
        get { withID.metadata }
        set {
            id = nil
            handler.metadata = newValue
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get {
            if let id, key == Self.key { return .stringConvertible(id) }
            return handler[metadataKey: key]
        }
        set {
            if key == Self.key { id = nil }
            handler[metadataKey: key] = newValue
        }
    }

    func log(event: LogEvent) { withID.log(event: event) }

    private var withID: any LogHandler {
        guard let id else { return handler }
        var handler = handler
        handler[metadataKey: Self.key] = .stringConvertible(id)
        return handler
    }
}
