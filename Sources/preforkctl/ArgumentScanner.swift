// The words of the command line.

import PreforkSystem

/// Wrong usage, in words for the user.
struct ToolUsageError: Error, Equatable {
    var text: String

    init(_ text: String) {
        self.text = text
    }
}

/// Takes the words that a command understands out of its command line.
struct ArgumentScanner {
    private var rest: [String]

    init(_ words: [String]) {
        rest = words
    }

    /// Whether the word is there.
    mutating func flag(_ name: String) -> Bool {
        guard let index = rest.firstIndex(of: name) else { return false }
        rest.remove(at: index)
        return true
    }

    /// The value of `--name VALUE` or `--name=VALUE`. If nil, the option is not there.
    mutating func value(_ name: String) throws(ToolUsageError) -> String? {
        guard let index = rest.firstIndex(where: { $0 == name || $0.hasPrefix(name + "=") }) else { return nil }
        let word = rest.remove(at: index)
        if word != name { return String(word.dropFirst(name.count + 1)) }
        guard index < rest.count else { throw ToolUsageError("\(name) needs a value") }
        return rest.remove(at: index)
    }

    /// The values of an option that may come several times.
    mutating func values(_ name: String) throws(ToolUsageError) -> [String] {
        var values: [String] = []
        while let value = try value(name) { values.append(value) }
        return values
    }

    mutating func next(_ what: String) throws(ToolUsageError) -> String {
        if rest.isEmpty { throw ToolUsageError("\(what) is missing") }
        return rest.removeFirst()
    }

    /// Whether no word is left.
    var isEmpty: Bool { rest.isEmpty }

    /// - Throws: for a word that the command does not know.
    func finish() throws(ToolUsageError) {
        if let word = rest.first { throw ToolUsageError("'\(Escaping.brief(word))' is not understood here") }
    }
}
