// Tables of parameters: what becomes of nothing, zero, a negative number, a huge one, and text.

import PreforkSystem
public import Testing

/// What a value must lead to. There is no third possibility: a trap, a hang, or a value that is silently taken for
/// another one fails the row.
public enum Outcome: Sendable {
    /// The call takes it. The text says what it means there, as the documentation of the parameter does.
    case means(String)
    /// The call throws an error whose text has all of these words.
    case refuses([String])

    /// An error that names the parameter, or the value, by these words.
    public static func refused(_ words: String...) -> Outcome { .refuses(words) }
}

/// One value of one parameter.
public struct ParameterRow: Sendable, CustomTestStringConvertible {
    /// As `PublicParameters` names it: `Listener.init.backlog`.
    public let parameter: String
    let value: String
    let outcome: Outcome
    let body: @Sendable () async throws -> Void

    public var testDescription: String { "\(parameter): \(value)" }

    /// Calls the parameter's function, and fails for each problem.
    public func check() async {
        for problem in await problems() { Issue.record("\(testDescription) \(problem)") }
    }

    /// What is wrong with what came of the value.
    ///
    /// An error is for a person who reads a log: it has no control characters and no more than a few lines, however
    /// huge the value was.
    public func problems() async -> [String] {
        do {
            try await body()
            if case .refuses = outcome { return ["was taken"] }
            return []
        } catch {
            let text = "\(error)"
            let shown = String(text.prefix(500))
            guard case .refuses(let words) = outcome else { return ["was refused: \(shown)"] }
            var problems = words.filter { !text.contains($0) }.map { "has an error without '\($0)': \(shown)" }
            if text.utf8.count >= 4096 { problems.append("has an error of \(text.utf8.count) bytes") }
            if text.unicodeScalars.contains(where: { Escaping.hides($0) && $0 != "\n" }) {
                problems.append("has an error with control characters")
            }
            if error is CancellationError { problems.append("was cancelled") }
            return problems
        }
    }
}

/// Rows by the kind of the parameter. Each function asks for an outcome for each kind of nonsense, so that none can be
/// forgotten.
public enum Parameter {
    /// One further value: nil, an empty array, a value that is special for this parameter.
    public static func value(
        _ parameter: String, _ value: String, _ outcome: Outcome, _ body: @escaping @Sendable () async throws -> Void
    ) -> [ParameterRow] {
        [ParameterRow(parameter: parameter, value: value, outcome: outcome, body: body)]
    }

    /// A signed number: 0, -1 and the least, the greatest.
    public static func number<Number: FixedWidthInteger & SignedInteger & Sendable>(
        _ parameter: String, zero: Outcome, negative: Outcome, huge: Outcome,
        _ body: @escaping @Sendable (Number) async throws -> Void
    ) -> [ParameterRow] {
        let values: [(Number, Outcome)] = [
            (Number.zero, zero), (Number(-1), negative), (Number.min, negative), (Number.max, huge),
        ]
        return rows(parameter, values, { "\($0)" }, body)
    }

    /// A number without a sign: 0 and the greatest.
    public static func unsigned<Number: FixedWidthInteger & UnsignedInteger & Sendable>(
        _ parameter: String, zero: Outcome, huge: Outcome, _ body: @escaping @Sendable (Number) async throws -> Void
    ) -> [ParameterRow] {
        let values: [(Number, Outcome)] = [(Number.zero, zero), (Number.max, huge)]
        return rows(parameter, values, { "\($0)" }, body)
    }

    /// A fraction: 0, negative ones, huge ones, and what is no number.
    public static func fraction(
        _ parameter: String, zero: Outcome, negative: Outcome, huge: Outcome, notANumber: Outcome,
        _ body: @escaping @Sendable (Double) async throws -> Void
    ) -> [ParameterRow] {
        let values: [(Double, Outcome)] = [
            (0, zero), (-0.001, negative), (-.infinity, negative), (1e300, huge), (.infinity, huge), (.nan, notANumber),
        ]
        return rows(parameter, values, { "\($0)" }, body)
    }

    /// A time: none, negative ones, one of 292 thousand million years, and ones of more seconds than an Int64 has room
    /// for, on which `Duration.components` traps.
    public static func duration(
        _ parameter: String, zero: Outcome, negative: Outcome, huge: Outcome,
        _ body: @escaping @Sendable (Duration) async throws -> Void
    ) -> [ParameterRow] {
        let values: [(Duration, Outcome)] = [
            (.zero, zero), (.nanoseconds(-1), negative), (.seconds(Int64.min), negative),
            (.seconds(Int64.min) * 10, negative), (.seconds(Int64.max), huge), (.seconds(Int64.max) * 10, huge),
        ]
        return rows(parameter, values, { "\($0)" }, body)
    }

    /// A text: none, ten million characters, a NUL byte, what commands a terminal or ends a line, another directory,
    /// and letters that are not ASCII.
    public static func text(
        _ parameter: String, empty: Outcome, huge: Outcome, nul: Outcome, controls: Outcome, dots: Outcome,
        foreign: Outcome, _ body: @escaping @Sendable (String) async throws -> Void
    ) -> [ParameterRow] {
        let values = [
            ("", "empty", empty), (String(repeating: "x", count: 10 << 20), "10 MiB", huge), ("a\0b", "NUL", nul),
            ("a\u{1B}[2J\nb", "ESC and a line feed", controls), ("../x", "../x", dots),
            ("größe \u{202E}", "größe and U+202E", foreign),
        ]
        return values.map { value, name, outcome in
            ParameterRow(parameter: parameter, value: name, outcome: outcome) { try await body(value) }
        }
    }

    /// A text whose content does not matter. Only an empty text and ten million characters may differ.
    public static func text(
        _ parameter: String, empty: Outcome, huge: Outcome, other: Outcome,
        _ body: @escaping @Sendable (String) async throws -> Void
    ) -> [ParameterRow] {
        text(
            parameter, empty: empty, huge: huge, nul: other, controls: other, dots: other, foreign: other, body)
    }

    /// An array: none, and very many.
    public static func list<Element: Sendable>(
        _ parameter: String, of element: Element, count: Int = 1 << 20, empty: Outcome, huge: Outcome,
        _ body: @escaping @Sendable ([Element]) async throws -> Void
    ) -> [ParameterRow] {
        rows(
            parameter, [([], empty), (Array(repeating: element, count: count), huge)], { "\($0.count) of them" }, body)
    }

    private static func rows<Value: Sendable>(
        _ parameter: String, _ values: [(Value, Outcome)], _ name: (Value) -> String,
        _ body: @escaping @Sendable (Value) async throws -> Void
    ) -> [ParameterRow] {
        values.map { value, outcome in
            ParameterRow(parameter: parameter, value: name(value), outcome: outcome) { try await body(value) }
        }
    }
}

/// `#expect` for a closure of one expression: the macro does not tell the compiler there that it may throw.
public func mustHold(_ condition: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(condition, sourceLocation: sourceLocation)
}

/// Fails for each public parameter of a module that has neither a row nor a reason, and for rows and reasons whose
/// parameter is gone.
///
/// - Parameter reasons: Parameters, types or functions (everything that begins with them and a dot) that need no row,
///   and why.
public func expectComplete(
    _ rows: [ParameterRow], module: String, reasons: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    for gap in gaps(in: rows, module: module, reasons: reasons) {
        Issue.record("\(module): \(gap)", sourceLocation: sourceLocation)
    }
}

/// What `expectComplete` fails for.
public func gaps(in rows: [ParameterRow], module: String, reasons: [String: String]) -> [String] {
    let parameters = PublicParameters.names(in: "\(packageRoot)/Sources/\(module)")
    if parameters.isEmpty { return ["there are no sources at \(packageRoot)"] }
    func isExcused(_ name: String) -> Bool {
        // What an error says is the package's word.
        name.contains("Error.Code.") || reasons.keys.contains { name == $0 || name.hasPrefix($0 + ".") }
    }
    let inTable = Set(rows.map(\.parameter))
    let unused = reasons.keys.filter { reason in
        !parameters.contains { $0 == reason || $0.hasPrefix(reason + ".") }
    }
    return parameters.subtracting(inTable).filter { !isExcused($0) }.sorted().map {
        "\($0) has neither a row nor a reason"
    }
        + inTable.subtracting(parameters).sorted().map { "the table has \($0), which is no parameter" }
        + unused.sorted().map { "the reason for \($0) is for nothing" }
}
