// Labels of requests: text that is copied into shared memory without an allocation.

public import PreforkSystem

/// A text that can name a request: a string, a part of one, or its UTF-8 bytes.
///
/// The first 128 bytes are kept. Text of others needs no care: control characters are escaped where a label is shown,
/// and what is not UTF-8 is shown as U+FFFD.
public protocol RequestLabel {
    /// Begins a request of this name: what `Worker.beginRequest` and `Worker.request` call.
    ///
    /// - Parameter executes: whether the request executes until its mark ends, as a synchronous body does.
    func beginRequest(
        in worker: Worker, trace: TraceID?, options: RequestOptions, executes: Bool
    ) throws(RequestError) -> RequestMark
}

/// How a request is marked.
public struct RequestOptions: OptionSet, Hashable, Sendable {
    public let rawValue: Int

    /// - Parameter rawValue: bits that no option has mean nothing.
    public init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// A `?` in the label is a part of it, and so is what follows.
    ///
    /// Without this option a label ends before its first `?`: queries hold tokens and personal data, which do not belong
    /// into a log.
    public static let includesQuery = RequestOptions(rawValue: 1)
}

/// A request was not begun.
public struct RequestError: Error, Equatable, Sendable {
    /// Why.
    public enum Code: Hashable, Sendable {
        /// Requests of this name have crashed workers, or an operator has forbidden them.
        case quarantined
    }

    /// Why the request was refused.
    public let code: Code
    /// After how long another attempt makes sense. If nil, only an operator can release the label.
    public let retryAfter: Duration?

    init(_ code: Code, retryAfter: Duration?) {
        self.code = code
        self.retryAfter = retryAfter
    }
}

extension RequestError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .quarantined: "requests of this name are refused: they have crashed workers, or an operator wants it so"
        }
    }
}

extension String: RequestLabel {
    public func beginRequest(
        in worker: Worker, trace: TraceID?, options: RequestOptions, executes: Bool
    ) throws(RequestError) -> RequestMark {
        try utf8.beginRequest(in: worker, trace, options, executes)
    }
}

extension Substring: RequestLabel {
    public func beginRequest(
        in worker: Worker, trace: TraceID?, options: RequestOptions, executes: Bool
    ) throws(RequestError) -> RequestMark {
        try utf8.beginRequest(in: worker, trace, options, executes)
    }
}

extension StaticString: RequestLabel {
    public func beginRequest(
        in worker: Worker, trace: TraceID?, options: RequestOptions, executes: Bool
    ) throws(RequestError) -> RequestMark {
        // A single Unicode scalar has no address.
        guard hasPointerRepresentation else {
            return try description.beginRequest(in: worker, trace: trace, options: options, executes: executes)
        }
        let bytes = UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
        return try worker.begin(bytes, trace, options, executes)
    }
}

/// UTF-8, as a parser has it. The bytes are read before the call returns.
extension UnsafeRawBufferPointer: RequestLabel {
    public func beginRequest(
        in worker: Worker, trace: TraceID?, options: RequestOptions, executes: Bool
    ) throws(RequestError) -> RequestMark {
        try worker.begin(self, trace, options, executes)
    }
}

extension Collection<UInt8> {
    /// The bytes of a string. A string from another language may not store them contiguously.
    @inline(__always)
    fileprivate func beginRequest(
        in worker: Worker, _ trace: TraceID?, _ options: RequestOptions, _ executes: Bool
    ) throws(RequestError) -> RequestMark {
        let begun: Result<RequestMark, RequestError>? = withContiguousStorageIfAvailable { bytes in
            do throws(RequestError) {
                return .success(try worker.begin(UnsafeRawBufferPointer(bytes), trace, options, executes))
            } catch {
                return .failure(error)
            }
        }
        if let begun { return try begun.get() }
        let copy = Array(prefix(RequestRingLayout.labelLimit))
        return try copy.withUnsafeBufferPointer { bytes throws(RequestError) in
            try worker.begin(UnsafeRawBufferPointer(bytes), trace, options, executes)
        }
    }
}
