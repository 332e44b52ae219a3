// From the bytes of a child's output to lines.

import PreforkSystem

/// What one child writes, cut into lines: as many as the allowances permit. The rest is counted.
///
/// A value: it reads nothing and writes nothing. Whatever the child writes, it keeps at most `longestLine` bytes of an
/// unfinished line and `LastWords.memory` bytes of the end.
struct OutputLines {
    /// A longer line is written in pieces of this size.
    static let longestLine = 8000
    /// The length of a line whose bytes cost as much time as the work for each line.
    static let shortLine = 64
    /// Of what waits to be logged or is thrown away, only this much at the end is searched for the line that says why a
    /// process ends. Searching all of a 100 MiB/s flood takes a whole processor.
    private static let searchedRest = 8 << 10

    private static func searched(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes.suffix(searchedRest))
    }

    /// What was thrown away for want of allowance.
    struct Lost: Equatable {
        var bytes = 0
        /// A line counts when its end is thrown away, also where its beginning was said.
        var lines = 0

        mutating func add(_ other: Lost) {
            bytes &+= other.bytes
            lines &+= other.lines
        }
    }

    private var partial: [UInt8] = []
    /// The beginning of this line was thrown away, and its end follows it.
    private var skipsToLineEnd = false
    private(set) var lost = Lost()
    /// Bytes of lines that were said.
    private var said = 0
    private var words = LastWordsKeeper()

    /// Remembers the end of what was read.
    mutating func note(_ bytes: UnsafeRawBufferPointer) { words.note(bytes) }

    /// Cuts what was read and noted.
    ///
    /// - Parameters:
    ///   - room: how many short lines may be handled now. A longer line counts as several.
    ///   - say: called for each line that the allowances permit.
    /// - Returns: how many bytes it took: all, unless there is no room left.
    mutating func take(
        _ bytes: UnsafeRawBufferPointer, own: inout OutputAllowance, all: inout OutputAllowance, room: inout Int,
        say: (UnsafeRawBufferPointer) -> Void
    ) -> Int {
        var start = 0
        if skipsToLineEnd {
            guard let end = bytes.firstOffset(of: UInt8(ascii: "\n")) else {
                lost.bytes += bytes.count
                return bytes.count
            }
            lost.bytes += end + 1
            lost.lines += 1
            start = end + 1
            skipsToLineEnd = false
        }
        while start < bytes.count {
            if room <= 0 { return start }
            room -= 1
            let end = bytes.firstOffset(of: UInt8(ascii: "\n"), from: start)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<(end ?? bytes.count)])
            room -= piece.count / Self.shortLine
            let (unfinished, saidBefore) = (partial.count, said)
            let isTaken = add(piece, endsLine: end != nil, &own, &all, say)
            guard isTaken else {
                // Everything that was read with it: finding each line's end in a flood is not worth its cost.
                let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
                words.findMessage(in: Self.searched(rest))
                lost.lines += rest.count(of: UInt8(ascii: "\n"))
                lost.bytes += unfinished + bytes.count - start - (said - saidBefore)
                partial.removeAll(keepingCapacity: true)
                skipsToLineEnd = bytes[bytes.count - 1] != UInt8(ascii: "\n")
                return bytes.count
            }
            start = (end ?? bytes.count) + 1
        }
        return bytes.count
    }

    /// No call will take these bytes. They were noted.
    mutating func lose(_ bytes: UnsafeRawBufferPointer) {
        words.findMessage(in: Self.searched(bytes))
        lost.bytes += partial.count + bytes.count
        lost.lines += bytes.count(of: UInt8(ascii: "\n"))
        let last = bytes.last ?? partial.last ?? UInt8(ascii: "\n")
        // Nothing follows.
        if last != UInt8(ascii: "\n") { lost.lines += 1 }
        partial.removeAll()
    }

    /// - Parameter rest: what was noted and not taken.
    func lastWords(before rest: UnsafeRawBufferPointer, pid: Int32, name: String) -> LastWords {
        if words.isEmpty { return LastWords() }
        var words = words
        words.findMessage(in: Self.searched(rest))
        return words.lastWords(pid: pid, name: name)
    }

    /// - Returns: false when an allowance is used up.
    private mutating func add(
        _ piece: UnsafeRawBufferPointer, endsLine: Bool, _ own: inout OutputAllowance, _ all: inout OutputAllowance,
        _ say: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        if endsLine, partial.isEmpty, piece.count <= Self.longestLine {
            return finish(piece, &own, &all, say)
        }
        var rest = piece
        while partial.count + rest.count > Self.longestLine {
            let room = Self.longestLine - partial.count
            partial.append(contentsOf: rest.prefix(room))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(room))
            guard finishPartial(&own, &all, say) else { return false }
        }
        partial.append(contentsOf: rest)
        return endsLine ? finishPartial(&own, &all, say) : true
    }

    private mutating func finishPartial(
        _ own: inout OutputAllowance, _ all: inout OutputAllowance, _ say: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        let line = partial
        let isTaken = line.withUnsafeBytes { finish($0, &own, &all, say) }
        if isTaken { partial.removeAll(keepingCapacity: partial.capacity <= 1024) }
        return isTaken
    }

    private mutating func finish(
        _ line: UnsafeRawBufferPointer, _ own: inout OutputAllowance, _ all: inout OutputAllowance,
        _ say: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        guard own.hasLine(of: line.count), all.hasLine(of: line.count) else { return false }
        own.useLine(of: line.count)
        all.useLine(of: line.count)
        said += line.count
        words.findMessage(in: line)
        // An empty line says nothing, and is not worth a head.
        if !line.isEmpty { say(line) }
        return true
    }

    /// Nothing follows: the line that has begun is whole.
    mutating func end(
        own: inout OutputAllowance, all: inout OutputAllowance, say: (UnsafeRawBufferPointer) -> Void
    ) {
        if partial.isEmpty { return }
        if !finishPartial(&own, &all, say) {
            lost.bytes += partial.count
            lost.lines += 1
        }
        partial.removeAll()
    }

    /// What was thrown away since the last call.
    mutating func takeLost() -> Lost? {
        if lost == Lost() { return nil }
        defer { lost = Lost() }
        return lost
    }
}
