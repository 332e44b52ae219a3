// What the parsers make of bytes, as a text that tests compare.

import PreforkSystem

@testable import PreforkHTTP

/// The requests in `bytes`, one line each, by parsers that see them in pieces.
///
/// - Parameter cuts: after how many bytes each piece ends. What follows the last comes in one piece.
func reading(_ bytes: [UInt8], cuts: [Int] = [], headLimit: Int = 16 * 1024, fieldLimit: Int = 100) -> [String] {
    var lines: [String] = []
    var parser = RequestParser(headLimit: headLimit, fieldLimit: fieldLimit)
    var chunks: ChunkedParser?
    var (start, bodyRest) = (0, 0)
    var body: [UInt8] = []
    func end() {
        lines[lines.count - 1] += " body \(String(decoding: body, as: UTF8.self).debugDescription)"
        if let trailers = chunks?.trailers, !trailers.isEmpty { lines[lines.count - 1] += " trailers \(trailers)" }
        chunks = nil
        body = []
        parser.reset()
    }
    for there in cuts.filter({ $0 < bytes.count }) + [bytes.count] {
        step: while true {
            // A copy of exactly these bytes: a read behind them would be found by the address sanitizer.
            let seen = Array(bytes[start..<there])
            if chunks != nil {
                switch seen.withUnsafeBytes({ chunks!.next($0) }) {
                case .data(let range):
                    body += seen[range]
                    start += range.upperBound
                case .incomplete(let count):
                    start += count
                    break step
                case .complete(let count):
                    start += count
                    end()
                case .failure(let code): return lines + ["\(code)"]
                }
            } else if bodyRest > 0 {
                let count = min(bodyRest, seen.count)
                body += seen[..<count]
                start += count
                bodyRest -= count
                if bodyRest > 0 { break step }
                end()
            } else {
                switch seen.withUnsafeBytes({ parser.parse($0) }) {
                case .incomplete: break step
                case .failure(let status): return lines + ["\(status.code)"]
                case .complete:
                    let head = parser.head
                    lines.append(describe(head, Array(seen[..<head.length])))
                    start += head.length
                    switch head.framing {
                    case .none: end()
                    case .length(let count): bodyRest = count
                    case .chunked: chunks = ChunkedParser(headLimit: headLimit, fieldLimit: fieldLimit)
                    }
                }
            }
        }
    }
    let isWhole = start == bytes.count && chunks == nil && bodyRest == 0
    return isWhole ? lines : lines + ["incomplete"]
}

private func describe(_ head: RequestHead, _ bytes: [UInt8]) -> String {
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    var words = ["\(HTTPMethod(kind: head.method))", text(head.path)]
    if let query = head.query { words.append("?\(text(query))") }
    if let authority = head.authority { words.append("@\(text(authority))") }
    words.append(head.flags.contains(.isHTTP11) ? "1.1" : "1.0")
    words.append(head.flags.keepsAlive ? "keep" : "close")
    if head.flags.contains(.expectsContinue) { words.append("expects") }
    if head.flags.contains(.takesTrailers) { words.append("takesTrailers") }
    words.append("\(head.fields.count)")
    return words.joined(separator: " ")
}

/// The same reading, however the bytes come.
func readings(_ text: String, headLimit: Int = 16 * 1024, fieldLimit: Int = 100) -> Set<[String]> {
    let bytes = Array(text.utf8)
    func read(_ cuts: [Int]) -> [String] { reading(bytes, cuts: cuts, headLimit: headLimit, fieldLimit: fieldLimit) }
    var all: Set<[String]> = [read([]), read(Array(1..<max(2, bytes.count)))]
    for cut in 0..<bytes.count { all.insert(read([cut])) }
    return all
}
