// Why a metric cannot be made.

/// A metric's name, labels or buckets make no sense, or another metric of this process has the name. No metric is made
/// then.
///
/// A series beyond the limit is no error: what the program counts in it is left out of the page, and the page and the
/// log say how many series are missing.
public struct MetricError: Error, Hashable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The name is not one of Prometheus: `[a-zA-Z_:][a-zA-Z0-9_:]*`, at most 200 bytes.
        case badName(String)
        /// The name begins with `prefork_`, as the names of the pool's own metrics do.
        case reservedName(String)
        /// A label's name is not one of Prometheus (`[a-zA-Z_][a-zA-Z0-9_]*`), begins with two underscores, or has a
        /// meaning in this kind of metric: `le` in a histogram, `process` in a gauge of `.live`.
        case badLabel(String)
        /// There are more than 16 labels, or they take more than 1,024 bytes, or the help takes more than 1,024.
        case tooLong(String)
        /// The buckets do not grow: `start` and `factor - 1` must be above zero, and the number 1...64.
        case badBuckets(String)
        /// The name is that of another metric: of another kind, with other label names or other buckets, or one whose
        /// samples have this name, as the sum of histogram `x` has the name `x_sum`.
        case conflict(name: String, with: String)
    }

    /// What went wrong.
    public let code: Code

    package init(_ code: Code) { self.code = code }
}

extension MetricError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .badName(let name): "\"\(Escaping.brief(name))\" cannot be the name of a metric"
        case .reservedName(let name):
            "metric \"\(Escaping.brief(name))\": names that begin with \"prefork_\" are the pool's own"
        case .badLabel(let name): "\"\(Escaping.brief(name))\" cannot be the name of a label here"
        case .tooLong(let name): "the labels or the help of metric \"\(Escaping.brief(name))\" are too long"
        case .badBuckets(let text): "these buckets do not grow: \(text)"
        case .conflict(let name, let other):
            "metric \"\(Escaping.brief(name))\" conflicts with \(Escaping.brief(other))"
        }
    }
}
