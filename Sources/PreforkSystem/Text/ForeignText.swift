// Text of others, which cannot be shown before somebody has said to whom.

/// Text that somebody else has written: a thread's name, a peer's address, what a socket that may be anybody's answers.
///
/// It leaves by `escaped(for:)`. String interpolation of it does not compile; where a description is asked for all the
/// same, as by `print`, or within an array, it is the one for a log line.
package struct ForeignText: Hashable, Sendable {
    /// Who reads it, and what must not be in it for that reader. HTML is not among them: the package writes no page
    /// with text of others in it (see `StatusPage`).
    package enum Reader: Hashable, Sendable, CaseIterable {
        /// A line of the log: one line, and nothing that a terminal would obey which shows the log.
        case log
        /// A part of a line on a terminal.
        case terminal
        /// A whole page on a terminal, with its lines and tabs.
        case terminalPage
        /// The value of a label, between its quotes.
        case prometheus
        /// A string in JSON, between its quotes.
        case json
    }

    /// For comparisons and for readers of its meaning, never for people.
    package let unescaped: String

    package init(_ text: some StringProtocol) {
        unescaped = String(text)
    }

    /// What is not UTF-8 becomes U+FFFD.
    package init(decoding bytes: some Collection<UInt8>) {
        unescaped = String(decoding: bytes, as: UTF8.self)
    }

    /// The only way out.
    package func escaped(for reader: Reader) -> String {
        switch reader {
        case .log, .terminal: Escaping.line(unescaped)
        case .terminalPage: Escaping.page(unescaped)
        case .prometheus: Escaping.prometheusLabel(unescaped)
        case .json: Escaping.json(unescaped)
        }
    }

    /// For whoever bounds what it writes: whoever causes a line decides what stands in it, but not how long it is.
    ///
    /// - Parameter limit: so many bytes, before they are escaped, are shown; of the rest the number.
    package func escaped(for reader: Reader, atMost limit: Int) -> String {
        let rest = unescaped.utf8.count - limit
        if rest <= 0 { return escaped(for: reader) }
        return ForeignText(decoding: unescaped.utf8.prefix(limit)).escaped(for: reader) + " ... (\(rest) more bytes)"
    }

    /// The limit of a line, in the log and of a worker's own.
    package static let lineLimit = 8 << 10
}

extension ForeignText: ExpressibleByStringLiteral {
    /// What stands in the source is nobody else's, and harmless where foreign text is expected.
    package init(stringLiteral text: String) {
        self.init(text)
    }
}

// Not in the source, but `print` and the description of an array ask for it as it runs.
@available(*, unavailable, message: "say to whom it is shown: escaped(for:)")
extension ForeignText: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { escaped(for: .log) }
    package var debugDescription: String { "\"\(escaped(for: .log))\"" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Where the compiler comes to this, `escaped(for:)` is missing.
package enum ForeignTextIsNotEscaped {}
package enum SayToWhomItIsShown {}

extension DefaultStringInterpolation {
    // Two that are equally good: the compiler refuses to choose. A single one that is marked unavailable is passed
    // over, and the one for any value taken (seen with Swift 6.3).
    @discardableResult
    package mutating func appendInterpolation(_ text: ForeignText) -> ForeignTextIsNotEscaped? { nil }
    @discardableResult
    package mutating func appendInterpolation(_ text: ForeignText) -> SayToWhomItIsShown? { nil }
}
