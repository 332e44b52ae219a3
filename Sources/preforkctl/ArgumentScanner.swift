// Words of a tool's command line. Understood words are taken out.

import PreforkSystem

/// Wrong usage, in words for the user.
package struct ToolUsageError: Error, Equatable {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }
}

package struct ToolWords {
    private var rest: [String]

    package init(_ words: [String]) {
        rest = words
    }

    /// Whether the word is there.
    package mutating func flag(_ name: String) -> Bool {
        guard let index = rest.firstIndex(of: name) else { return false }
        rest.remove(at: index)
        return true
    }

    /// The value of `--name VALUE` or `--name=VALUE`. If nil, the option is not there.
    package mutating func value(_ name: String) throws(ToolUsageError) -> String? {
        guard let index = rest.firstIndex(where: { $0 == name || $0.hasPrefix(name + "=") }) else { return nil }
        let word = rest.remove(at: index)
        if word != name { return String(word.dropFirst(name.count + 1)) }
        guard index < rest.count else { throw ToolUsageError("\(name) needs a value") }
        return rest.remove(at: index)
    }

    /// The values of an option that may come several times.
    package mutating func values(_ name: String) throws(ToolUsageError) -> [String] {
        var values: [String] = []
        while let value = try value(name) { values.append(value) }
        return values
    }

    package mutating func next(_ what: String) throws(ToolUsageError) -> String {
        if rest.isEmpty { throw ToolUsageError("\(what) is missing") }
        return rest.removeFirst()
    }

    /// Whether no word is left.
    package var isEmpty: Bool { rest.isEmpty }

    /// - Throws: for a word that the command does not know.
    package func finish() throws(ToolUsageError) {
        if let word = rest.first { throw ToolUsageError("'\(Escaping.brief(word))' is not understood here") }
    }
}

extension SourceWatch {
    /// `[--path DIR ...] [--suffix .html ...] [--build COMMAND]`
    package init(_ words: inout ToolWords) throws(ToolUsageError) {
        self.init()
        let roots = try words.values("--path")
        if !roots.isEmpty { self.roots = roots }
        let endings = try words.values("--suffix")
        if !endings.isEmpty { filter.endings = endings }
        if let build = try words.value("--build") { self.build = build }
    }
}
