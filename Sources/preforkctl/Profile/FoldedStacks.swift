// Stacks by names: a line for each, `main;serve;handle 42`, as flame graph tools read them.

import PreforkSystem

struct FoldedStacks: Equatable {
    /// From the outermost frame, and how often.
    private(set) var stacks: [[String]: Int] = [:]

    /// - Parameter names: the functions at an address, innermost first. If empty, nothing is known of it.
    init(_ recorded: [[UInt64]: Int], names: (_ address: UInt64, _ isReturn: Bool) -> [String]) {
        for (frames, count) in recorded {
            let path = frames.enumerated().flatMap { names($1, $0 > 0) }.map(Self.plain)
            stacks[path.reversed(), default: 0] += count
        }
    }

    /// A semicolon would end the frame, and a line feed the line.
    private static func plain(_ name: String) -> String {
        let line = ForeignText(name).escaped(for: .log)
        return String(line.map { $0 == ";" ? ":" : $0 })
    }

    /// Sorted, so that two profiles can be compared.
    var text: String {
        stacks.map { "\($0.key.joined(separator: ";")) \($0.value)\n" }.sorted().joined()
    }
}
