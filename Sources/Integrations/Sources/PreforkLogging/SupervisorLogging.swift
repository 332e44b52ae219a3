// The supervisor's lines through swift-log, and which worker a line of a worker is from.

import Logging
import Prefork
import Synchronization

extension ForkRuntime {
    /// Sends the supervisor's log to `logger`. Its handler runs in the supervisor, so it must not start threads
    /// (`StreamLogHandler` does not) and should not block.
    ///
    /// - Parameter logger: replaces the runtime's `log`.
    public mutating func log(to logger: Logger) {
        log = { line in logger.log(level: line.level.forLogger, "\(line.text)") }
    }
}

extension LogLine.Level {
    fileprivate var forLogger: Logger.Level {
        switch self {
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

/// Metadata of a worker: `task_id` and `generation` on each of its lines. The supervisor has none.
///
/// ```swift
/// LoggingSystem.bootstrap(StreamLogHandler.standardError, metadataProvider: WorkerMetadata.provider)  // before run
/// try runtime.run { worker in
///     WorkerMetadata.adopt(worker)
/// ```
public enum WorkerMetadata {
    private static let current = Mutex<Logger.Metadata>([:])

    /// For `LoggingSystem.bootstrap`, before the fork. It has no metadata until `adopt` is called in the process.
    public static let provider = Logger.MetadataProvider { current.withLock { $0 } }

    /// Gives the lines of this process the worker's metadata. Call it at the beginning of the worker's body.
    public static func adopt(_ worker: Worker) {
        current.withLock {
            $0 = ["task_id": "\(worker.taskID)", "generation": "\(worker.generation)"]
        }
    }
}
