// The head that a child's own lines have, recognised in what it writes.

import PreforkSystem

/// Lines of this package in a child's output: `StandardErrorLines` gives each a time, a process ID and a level, because
/// the output may go to a terminal or a file. In the supervisor's log they get its head, and keep the level.
///
/// A child can write such a line itself. All that it wins is the choice of a level: the log names the child in front of
/// every line of it, and the supervisor's own lines never begin like that.
struct OutputHead: Equatable {
    let level: LogLine.Level
    /// How many bytes precede the text.
    let length: Int

    /// - Parameters:
    ///   - pid: of the child: a head with another number belongs to the text.
    ///   - name: what the child calls itself after the head, as `worker 3`.
    /// - Returns: nil when the line has no such head.
    init?(_ line: UnsafeRawBufferPointer, pid: Int32, name: String) {
        let shape = "dddd-dd-ddTdd:dd:dd.dddZ prefork["
        guard line.count > shape.utf8.count,
            zip(line, shape.utf8).allSatisfy({ byte, wanted in
                wanted == UInt8(ascii: "d") ? 48...57 ~= byte : byte == wanted
            })
        else { return nil }
        var length = shape.utf8.count
        func skip(_ text: String) -> Bool {
            guard line.dropFirst(length).starts(with: text.utf8) else { return false }
            length += text.utf8.count
            return true
        }
        guard skip("\(pid)] "), let level = LogLine.Level.allCases.first(where: { skip("\($0.rawValue): ") })
        else { return nil }
        self.level = level
        _ = skip("\(name): ") || skip("\(name) ")
        self.length = length
    }

    /// The text of a line for a log: with nothing in it that ends the line or commands a terminal.
    static func text(_ bytes: some Collection<UInt8>) -> String {
        ForeignText(plain(bytes)).escaped(for: .log, atMost: ForeignText.lineLimit)
    }

    /// Tabs are spaces, as a terminal would have shown them, and a carriage return at the end does not belong to the
    /// line.
    static func plain(_ bytes: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        for byte in bytes {
            if byte == UInt8(ascii: "\t") { text += [32, 32, 32, 32] } else { text.append(byte) }
        }
        if text.last == UInt8(ascii: "\r") { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }
}
