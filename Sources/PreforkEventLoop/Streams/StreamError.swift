// The errors of stream operations.

public import PreforkSystem

/// An operation on a `ByteReader`, `ByteWriter` or `Connection` failed.
///
/// Cancellation is not among these: a cancelled operation throws `CancellationError`. Bytes that had arrived before
/// an error stay readable.
public struct StreamError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The stream ended before the requested bytes had come.
        case endOfStream
        /// What was requested does not fit into the limit, in bytes.
        case limitExceeded(limit: Int)
        /// Another task is reading from this stream.
        case readInProgress
        /// This process has closed the stream.
        case closed
        /// The other side has closed its end or reset the connection: EPIPE, ECONNRESET.
        case peerClosed
        /// An earlier write was cancelled half-way, so the reader could not interpret a further write.
        case writeAbandoned
        /// An invalid count, buffer or delimiter. Nothing was read.
        case badArgument(String)
        /// A system call failed.
        case system
    }

    /// What went wrong.
    public let code: Code
    /// The failed call, for `.peerClosed` and `.system`.
    public let underlying: SystemError?

    init(_ code: Code, _ underlying: SystemError? = nil) {
        self.code = code
        self.underlying = underlying
    }

    /// Sorts a failed read or write by what it means for the stream.
    init(_ error: SystemError) {
        switch error.errno {
        case .brokenPipe, .connectionReset: self.init(.peerClosed, error)
        default: self.init(.system, error)
        }
    }
}

extension StreamError: CustomStringConvertible {
    public var description: String {
        let text =
            switch code {
            case .endOfStream: "the stream ended early"
            case .limitExceeded(let limit): "more than the limit of \(limit) bytes"
            case .readInProgress: "another task is reading from this stream"
            case .closed: "the stream is closed"
            case .peerClosed: "the other side has closed the stream"
            case .writeAbandoned: "an earlier write was cancelled half-way"
            case .badArgument(let call): "not possible: \(call)"
            case .system: "the stream failed"
            }
        return underlying.map { "\(text): \($0)" } ?? text
    }
}
