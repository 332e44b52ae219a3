// Text from another process, which can be shown only after the caller has named the reader.

/// Text that another process has written: a thread's name, a peer's address, the answer of a socket whose owner is
/// unknown.
///
/// It leaves by `escaped(for:)`. String interpolation of it does not compile. If a description is requested
/// nevertheless, as by `print` or within an array, it is the one for a log line.
package struct ForeignText: Hashable, Sendable {
    /// The reader, which decides what the text must not contain. HTML is not among them: the package writes no page
    /// that contains foreign text (see `StatusPage`).
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

    /// For callers that bound what they write: the peer that causes a line decides its text, but not its length.
    ///
    /// - Parameter limit: so many bytes, counted before escaping, are shown. The number of the remaining bytes follows.
    package func escaped(for reader: Reader, atMost limit: Int) -> String {
        let rest = unescaped.utf8.count - limit
        if rest <= 0 { return escaped(for: reader) }
        return ForeignText(decoding: unescaped.utf8.prefix(limit)).escaped(for: reader) + " ... (\(rest) more bytes)"
    }

    /// The limit of a line, in the log and of a worker's own.
    package static let lineLimit = 8 << 10
}

extension ForeignText: ExpressibleByStringLiteral {
    /// A literal in the source is trusted, and harmless where foreign text is expected.
    package init(stringLiteral text: String) {
        self.init(text)
    }
}

// Not called in the source, but `print` and the description of an array call it at run time.
@available(*, unavailable, message: "choose the reader that it is shown to: escaped(for:)")
extension ForeignText: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { escaped(for: .log) }
    package var debugDescription: String { "\"\(escaped(for: .log))\"" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// If the compiler selects this, a call of `escaped(for:)` is missing.
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
