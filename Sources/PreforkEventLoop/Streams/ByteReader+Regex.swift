// Reading up to a match of a regular expression.

extension ByteReader {
    /// Reads up to and including the first match of `regex`.
    ///
    /// What has arrived is taken as UTF-8 text, and as Latin-1 while it is not valid UTF-8. A match at the end of what
    /// has arrived counts at once, even if more input would make it longer, so the regex must determine its end.
    ///
    /// Follows tornado's `read_until_regex`.
    ///
    /// - Parameters:
    ///   - regex: searched again from the start whenever more has arrived, so keep `limit` in proportion.
    ///   - limit: how many bytes the result may have. With zero or less, no result fits.
    /// - Throws: `.limitExceeded` if no match ends within the first `limit` bytes, `.endOfStream` if the stream ends
    ///   first. What has come stays readable in both cases.
    public func read<Output>(until regex: Regex<Output>, limit: Int) async throws -> [UInt8] {
        // Proof: the caller awaits this call, and a Regex is never changed by matching.
        nonisolated(unsafe) let regex = regex
        return try await exclusively { reader in
            while true {
                if let end = reader.endOfMatch(of: regex, within: limit) { return reader.take(end) }
                guard reader.buffer.count < limit else { throw StreamError(.limitExceeded(limit: limit)) }
                guard try await reader.receive(atLeast: 1) else { throw StreamError(.endOfStream) }
            }
        }
    }

    private func endOfMatch<Output>(of regex: Regex<Output>, within limit: Int) -> Int? {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer.bytes.prefix(max(0, limit)))
        // A character that has arrived in part is not invalid yet.
        let whole = UnsafeRawBufferPointer(rebasing: bytes.dropLast(Self.unfinishedCharacter(at: bytes)))
        if let text = String(validating: whole, as: UTF8.self) {
            guard let match = try? regex.firstMatch(in: text) else { return nil }
            return text.utf8.distance(from: text.utf8.startIndex, to: match.range.upperBound)
        }
        let text = String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        // By scalars, of which each is one byte: CR LF would be one character.
        guard let match = try? regex.matchingSemantics(.unicodeScalar).firstMatch(in: text) else { return nil }
        return text.unicodeScalars.distance(from: text.unicodeScalars.startIndex, to: match.range.upperBound)
    }

    /// How many bytes at the end begin a UTF-8 character without ending it, at most 3.
    private static func unfinishedCharacter(at bytes: UnsafeRawBufferPointer) -> Int {
        for length in 1...3 where bytes.count >= length {
            let byte = bytes[bytes.count - length]
            if byte < 0x80 { return 0 }
            guard byte >= 0xC0 else { continue }
            let needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            return needed > length ? length : 0
        }
        return 0
    }
}
