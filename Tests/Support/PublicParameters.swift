// The public parameters of a module, read from its source.

/// Which parameters a program can give a senseless value: numbers, times, texts, addresses, and arrays of them, of
/// public functions, initialisers, cases and settable variables.
///
/// Their names are `Type.function.label`, `Type.init.label`, `Type.case.label`, `Type.variable`. A parameter without a
/// label has its inner name, a case's its place. Overloads share a name. A variable that an initialiser takes by the
/// same name is that parameter.
///
/// The source is formatted (Scripts/lint): a declaration begins a line, and what belongs to a type is further in.
public enum PublicParameters {
    private static let kinds: Set<String> = [
        "Int", "Int8", "Int16", "Int32", "Int64", "UInt", "UInt8", "UInt16", "UInt32", "UInt64", "Double", "Duration",
        "String", "RawText", "Endpoint", "SocketAddress",
    ]

    /// - Parameter folder: its sources, in folders of any depth.
    public static func names(in folder: String) -> Set<String> {
        var names: Set<String> = []
        for file in filePaths(below: folder) where file.hasSuffix(".swift") { names.formUnion(Self.names(of: read(file))) }
        // `Type.variable` is `Type.init.variable`.
        return names.filter { name in
            let parts = name.split(separator: ".")
            return !names.contains((parts.dropLast() + ["init", parts[parts.count - 1]]).joined(separator: "."))
        }
    }

    /// - Parameter source: of one file.
    public static func names(of source: String) -> Set<String> {
        var names: Set<String> = []
        var types: [(indentation: Int, name: String, isPublicEnum: Bool)] = []
        let lines = withoutUnavailable(
            source.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                line.utf8.drop { $0 == UInt8(ascii: " ") }.starts(with: "//".utf8) ? "" : line
            })
        for (index, line) in lines.enumerated() where mayDeclare(line) {
            let indentation = line.prefix { $0 == " " }.count
            var words = line.split { $0 == " " || $0 == ":" || $0 == "{" }.map(String.init)[...]
            let modifiers = words.prefix { modifierWords.contains($0) || $0.hasPrefix("@") || $0.hasPrefix("public(") }
            words = words.dropFirst(modifiers.count)
            guard let keyword = words.first else { continue }
            types.removeAll { $0.indentation >= indentation && typeWords.contains(keyword) }
            let path = types.filter { $0.indentation < indentation }
            if typeWords.contains(keyword), let name = words.dropFirst().first {
                let isPublic = modifiers.contains("public")
                types.append(
                    (indentation, name.prefixOfName, keyword == "enum" && isPublic))
                continue
            }
            let isCase =
                keyword == "case" && path.last?.isPublicEnum == true && indentation == path.last!.indentation + 4
            guard isCase || modifiers.contains("public") else { continue }
            let owner = path.map { $0.name + "." }.joined()
            let declaration = wholeDeclaration(lines[index...])
            switch keyword.prefixOfName {
            case "func", "init", "case":
                let function = keyword.prefixOfName == "init" ? "init" : words.dropFirst().first?.prefixOfName ?? ""
                for (place, (label, type)) in parameters(of: declaration).enumerated() where isAsked(type) {
                    names.insert("\(owner)\(function).\(label.isEmpty ? "\(place)" : label)")
                }
            case "var":
                guard let (name, type) = settableVariable(line), isAsked(type) else { continue }
                names.insert("\(owner)\(name)")
            default: continue
            }
        }
        return names
    }

    /// By the first word, which is quicker than to take the whole line apart: few lines declare anything.
    private static func mayDeclare(_ line: Substring) -> Bool {
        let word = line.utf8.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "(") }
        guard let first = word.first else { return false }
        return first == UInt8(ascii: "@") || firstWords.contains(Substring(word))
    }

    private static let firstWords = Set((modifierWords.union(typeWords).union(["case", "func", "init", "var"])).map { Substring($0) })

    /// A declaration that only names another one takes no values: no program that calls it compiles.
    private static func withoutUnavailable(_ lines: [Substring]) -> [Substring] {
        var lines = lines
        var index = 0
        while index < lines.count {
            defer { index += 1 }
            guard lines[index].drop(while: { $0 == " " }).hasPrefix("@available(") else { continue }
            let start = index
            while index < lines.count, !lines[index].hasSuffix(")") { index += 1 }
            guard lines[start...min(index, lines.count - 1)].joined().contains("unavailable") else { continue }
            // Up to the line that declares. Other attributes may be between.
            repeat { index += 1 } while index < lines.count && lines[index].drop(while: { $0 == " " }).hasPrefix("@")
            if index < lines.count { lines[index] = "" }
        }
        return lines
    }

    private static let modifierWords: Set<String> = [
        "public", "final", "static", "convenience", "mutating", "borrowing", "consuming", "indirect", "nonisolated",
        "required", "override",
    ]
    private static let typeWords: Set<String> = ["struct", "class", "enum", "actor", "protocol", "extension"]

    /// From its first line to where its parentheses are closed.
    private static func wholeDeclaration(_ lines: ArraySlice<Substring>) -> String {
        var text = ""
        for line in lines.prefix(20) {
            text += " " + line
            var depth = 0
            for character in text { depth += character == "(" ? 1 : character == ")" ? -1 : 0 }
            if depth == 0 { break }
        }
        return text
    }

    /// What is between the first parentheses, with labels and types.
    private static func parameters(of declaration: String) -> [(label: String, type: String)] {
        // An attribute or a generic clause may have parentheses of its own before: a name comes first here.
        guard let start = declaration.firstIndex(of: "(") else { return [] }
        var parts: [String] = [""]
        var depth = 0
        for character in declaration[start...] {
            if "([".contains(character) { depth += 1 }
            if ")]".contains(character) { depth -= 1 }
            if depth == 0 { break }
            if character == ",", depth == 1 { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        parts[0] = String(parts[0].dropFirst())
        return parts.map { part in
            let halves = part.split(separator: ":", maxSplits: 1)
            guard halves.count == 2, !halves[0].contains("=") else { return ("", withoutDefault(part)) }
            let names = halves[0].split(separator: " ")
            let label = names.first == "_" ? names.last : names.first
            return (String(label ?? ""), withoutDefault(String(halves[1])))
        }
    }

    private static func withoutDefault(_ text: String) -> String {
        text.split(separator: "=", maxSplits: 1).first.map(String.init) ?? ""
    }

    /// The name and type of a variable with a public setter. Nil for a computed one without a setter on its line.
    private static func settableVariable(_ line: Substring) -> (name: String, type: String)? {
        guard !line.contains("{"), !line.contains("public internal(set)"), !line.contains("private(set)"),
            !line.contains("package(set)"), let range = line.firstRange(of: "var ")
        else { return nil }
        let rest = line[range.upperBound...]
        let name = String(rest).prefixOfName
        let halves = rest.split(separator: ":", maxSplits: 1)
        if halves.count == 2, !halves[0].contains("=") { return (name, withoutDefault(String(halves[1]))) }
        // `var database = 0`, `var prefix = ""`.
        guard let value = rest.split(separator: "=", maxSplits: 1).last?.drop(while: { $0 == " " }).first else {
            return nil
        }
        return value.isNumber ? (name, "Int") : value == "\"" ? (name, "String") : nil
    }

    private static func isAsked(_ type: String) -> Bool {
        if type.contains("->") { return false }
        let words = type.split { !($0.isLetter || $0.isNumber) }.map(String.init)
        return words.contains { kinds.contains($0) || $0 == "StringProtocol" }
    }
}

extension String {
    /// Up to what cannot be part of a name.
    fileprivate var prefixOfName: String {
        String(prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." })
    }
}
