// Answers of the control socket that are too long for one line.

import PreforkSystem

/// A tool reads at most `lineLimit` bytes of a line from a socket that it does not trust. The status of ten thousand
/// workers is longer. It comes in lines `{"ok":true,"part":1,"parts":3,"text":"..."}`, whose texts are the answer's.
package enum AnswerParts {
    /// The longest line, without its line feed.
    package static let lineLimit = 1 << 20
    /// What a tool takes of one answer.
    package static let mostParts: Int64 = 64
    /// Each byte of a text can become two by its escape, as the answer is JSON without control characters.
    private static let textLimit = lineLimit / 2 - 256

    /// The lines of an answer.
    ///
    /// - Parameter line: the whole answer with its line feed.
    static func split(_ line: [UInt8]) -> [UInt8] {
        guard line.count > lineLimit else { return line }
        let answer = line.dropLast()
        var starts = [answer.startIndex]
        while let start = starts.last, answer.endIndex - start > textLimit {
            var end = start + textLimit
            // Not within a character: continuation bytes are 10xxxxxx.
            while end > start, answer[end] & 0xC0 == 0x80 { end -= 1 }
            starts.append(end)
        }
        var lines: [UInt8] = []
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : answer.endIndex
            lines += JSONWriter.line { writer in
                writer.member("part", index + 1)
                writer.member("parts", starts.count)
                writer.member("text", String(decoding: answer[start..<end], as: UTF8.self))
            }
        }
        return lines
    }
}
