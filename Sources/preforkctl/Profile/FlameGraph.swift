// Folded stacks as a picture: an SVG without scripts, which shows each frame's name and share when it is pointed at.

import PreforkSystem

/// Each box is a function. Its width is the share of samples in which it was on the stack, and the boxes above it are
/// the functions that it had called. The order from left to right is that of the alphabet and says nothing of time.
struct FlameGraph {
    private final class Node {
        let name: String
        var count = 0
        var children: [String: Node] = [:]

        init(_ name: String) { self.name = name }
    }

    private static let width = 1_200.0
    private static let rowHeight = 16
    private static let margin = 10.0
    private static let head = 44
    /// Narrower boxes are left out, with what is above them.
    private static let leastWidth = 0.3
    private static let letterWidth = 7.0

    private let root = Node("all")
    private let title: String

    init(_ stacks: FoldedStacks, title: String) {
        self.title = title
        for (path, count) in stacks.stacks {
            var node = root
            node.count += count
            for name in path {
                let child = node.children[name] ?? Node(name)
                node.children[name] = child
                child.count += count
                node = child
            }
        }
    }

    var svg: String {
        var boxes = ""
        var depth = 0
        draw(root, from: 0, level: 0, &depth) { boxes += $0 }
        let height = Self.head + (depth + 1) * Self.rowHeight + Int(Self.margin)
        // Boxes are drawn upwards from a base line at zero.
        let base = height - Int(Self.margin) - Self.rowHeight
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(Self.width))" height="\(height)" \
            viewBox="0 0 \(Int(Self.width)) \(height)" font-family="monospace" font-size="12">
            <rect width="100%" height="100%" fill="#fffdf5"/>
            <text x="\(Int(Self.margin))" y="24" font-size="16">\(Self.escaped(title))</text>
            <g transform="translate(0 \(base))">
            \(boxes)</g>
            </svg>

            """
    }

    private func draw(_ node: Node, from start: Int, level: Int, _ depth: inout Int, _ add: (String) -> Void) {
        guard root.count > 0 else { return }
        let scale = (Self.width - 2 * Self.margin) / Double(root.count)
        let width = Double(node.count) * scale
        if width < Self.leastWidth { return }
        depth = max(depth, level)
        add(box(node, x: Self.margin + Double(start) * scale, y: -level * Self.rowHeight, width: width))
        var next = start
        for child in node.children.values.sorted(by: { $0.name < $1.name }) {
            draw(child, from: next, level: level + 1, &depth, add)
            next += child.count
        }
    }

    private func box(_ node: Node, x: Double, y: Int, width: Double) -> String {
        let share = Self.tenths(100 * Double(node.count) / Double(root.count))
        let name = Self.escaped(node.name)
        var text = "<g><title>\(name) (\(node.count) samples, \(share) %)</title>"
        text += "<rect x=\"\(Self.tenths(x))\" y=\"\(y)\" width=\"\(Self.tenths(width))\" "
        text += "height=\"\(Self.rowHeight - 1)\" rx=\"2\" fill=\"\(Self.colour(of: node.name))\"/>"
        let room = Int((width - 6) / Self.letterWidth)
        if room >= 3 {
            let shown = node.name.count <= room ? node.name : node.name.prefix(room - 2) + ".."
            text += "<text x=\"\(Self.tenths(x + 3))\" y=\"\(y + 12)\">\(Self.escaped(shown))</text>"
        }
        return text + "</g>\n"
    }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    /// The same name has the same warm colour in each picture (FNV-1a).
    private static func colour(of name: String) -> String {
        var hash: UInt32 = 2_166_136_261
        for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return "rgb(\(205 + hash % 50),\(90 + hash >> 8 % 120),\(40 + hash >> 16 % 50))"
    }

    /// Text that no reader of XML takes for markup, and none refuses.
    static func escaped(_ text: some StringProtocol) -> String {
        ForeignText(text).escaped(for: .log).unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // Not characters of XML 1.0.
            case "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
