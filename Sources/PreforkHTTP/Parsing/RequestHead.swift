// What a request's head says, as places in its bytes.

/// A parsed head. All ranges are offsets into the head's bytes.
struct RequestHead: Equatable {
    /// How the target is written (RFC 9112, 3.2).
    enum Form: Equatable {
        case origin, absolute, asterisk
    }

    /// Where the body ends.
    enum Framing: Equatable {
        /// There is no body.
        case none
        case length(Int)
        case chunked
    }

    struct Flags: OptionSet {
        let rawValue: UInt8

        static let isHTTP11 = Flags(rawValue: 1)
        static let asksToClose = Flags(rawValue: 2)
        static let asksToKeep = Flags(rawValue: 4)
        static let expectsContinue = Flags(rawValue: 8)
        /// `TE: trailers`: the client takes trailers.
        static let takesTrailers = Flags(rawValue: 16)

        /// `close` wins over `keep-alive`, in whatever order and field they come (RFC 9112, 9.3).
        var keepsAlive: Bool { !contains(.asksToClose) && (contains(.isHTTP11) || contains(.asksToKeep)) }
    }

    var method = HTTPMethod.Kind.get
    var flags: Flags = []
    var form = Form.origin
    var framing = Framing.none
    /// From the method to the end of the target: what a report calls the request.
    var label = 0..<0
    var target = 0..<0
    var path = 0..<0
    /// Without its `?`. nil if there is none.
    var query: Range<Int>?
    /// The host and port: of an absolute target, else of the Host field. nil if there is no Host.
    var authority: Range<Int>?
    var fields: [HTTPFields.Entry] = []
    /// Of the whole head with its last empty line, and what stood before it.
    var length = 0

    mutating func reset() {
        method = .get
        flags = []
        form = .origin
        framing = .none
        label = 0..<0
        target = 0..<0
        path = 0..<0
        query = nil
        authority = nil
        // For a few fields, less work than the replacement of a part of an array.
        if fields.count > 8 { fields.removeAll(keepingCapacity: true) }
        while !fields.isEmpty { fields.removeLast() }
        length = 0
    }
}
