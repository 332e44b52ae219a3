// The body of a request in chunks, with its trailers (RFC 9112, 7.1).

import PreforkSystem

/// Takes a body out of its chunks, as far as their bytes have come. How the bytes were cut changes only into how many
/// pieces the body falls.
struct ChunkedParser {
    enum Step: Equatable {
        /// These bytes belong to the body. They, and what stands before them, are done.
        case data(Range<Int>)
        /// So many bytes are done, and more must come.
        case incomplete(Int)
        /// So many bytes are done, and the body is.
        case complete(Int)
        case failure(HTTPError.Code)
    }

    private enum State {
        case firstDigit, digits, extensions, sizeLineEnd
        case data, dataReturn, dataLineEnd
        case trailers, done
    }

    /// Of all chunks' extensions together, in bytes: what no program ever sees must cost its sender something (Go's
    /// CVE-2023-39326).
    static let extensionLimit = 4096

    private(set) var trailers = HTTPFields()
    private let headLimit: Int
    private let fieldLimit: Int
    private var state = State.firstDigit
    private var rest = 0
    private var extensionCount = 0
    private var lineStart = 0
    private var searched = 0
    private var entries: [HTTPFields.Entry] = []

    init(headLimit: Int, fieldLimit: Int) {
        self.headLimit = headLimit
        self.fieldLimit = fieldLimit
    }

    /// - Parameter bytes: begin behind what the last step has called done.
    mutating func next(_ bytes: UnsafeRawBufferPointer) -> Step {
        var position = 0
        while position < bytes.count {
            switch state {
            case .data:
                let end = position + min(rest, bytes.count - position)
                rest -= end - position
                if rest == 0 { state = .dataReturn }
                return .data(position..<end)
            case .trailers: return nextTrailers(bytes.part(position..<bytes.count), after: position)
            case .done: return .complete(position)
            default:
                guard take(bytes[position]) else { return .failure(.malformedBody) }
                position += 1
            }
        }
        return state == .done ? .complete(position) : .incomplete(position)
    }

    /// Takes a byte of what stands around the data.
    private mutating func take(_ byte: UInt8) -> Bool {
        switch state {
        case .firstDigit:
            guard let digit = byte.hexadecimal else { return false }
            rest = Int(digit)
            state = .digits
        case .digits: return takeSize(byte)
        case .extensions:
            extensionCount += 1
            guard extensionCount <= Self.extensionLimit else { return false }
            if byte == .cr { state = .sizeLineEnd } else if byte.isForbiddenInValue { return false }
        case .sizeLineEnd:
            guard byte == .lf else { return false }
            state = rest > 0 ? .data : .trailers
        case .dataReturn:
            guard byte == .cr else { return false }
            state = .dataLineEnd
        case .dataLineEnd:
            guard byte == .lf else { return false }
            state = .firstDigit
        case .data, .trailers, .done: return false
        }
        return true
    }

    private mutating func takeSize(_ byte: UInt8) -> Bool {
        if let digit = byte.hexadecimal {
            // A larger one could not be counted, and no client sends it.
            guard rest < 1 << 56 else { return false }
            rest = rest << 4 | Int(digit)
        } else if byte == .cr {
            state = .sizeLineEnd
        } else if byte == UInt8(ascii: ";") {
            state = .extensions
        } else {
            return false
        }
        return true
    }

    /// The trailers stay where they are until all of them have come.
    private mutating func nextTrailers(_ bytes: UnsafeRawBufferPointer, after offset: Int) -> Step {
        while true {
            guard let end = bytes.firstOffset(of: .lf, from: searched), end < headLimit else {
                searched = bytes.count
                return bytes.count < headLimit ? .incomplete(offset) : .failure(.trailersTooLarge)
            }
            let start = lineStart
            searched = end + 1
            lineStart = end + 1
            guard end > start, bytes[end - 1] == .cr else { return .failure(.malformedBody) }
            if end - 1 == start {
                state = .done
                if !entries.isEmpty { trailers = HTTPFields(viewOf: Array(bytes.part(0..<end + 1)), entries) }
                return .complete(offset + end + 1)
            }
            guard let entry = FieldLine.parse(bytes, from: start, to: end - 1) else { return .failure(.malformedBody) }
            guard entries.count < fieldLimit else { return .failure(.trailersTooLarge) }
            entries.append(entry)
        }
    }
}
