// What a series is: its kind, name, help and labels.

/// What is counted, and how the shares of several processes become one value.
package enum MetricKind: Hashable, Sendable {
    case counter
    case gauge(SharedGauge.Aggregation)
    case histogram(HistogramBuckets)

    /// Words that one process needs for it.
    package var words: Int {
        switch self {
        case .counter: 1
        // The value, and when it was set.
        case .gauge: 2
        // The sum, then a count for each bucket.
        case .histogram(let buckets): 2 + buckets.count
        }
    }

    /// Lines that it takes on the page.
    package var samples: Int {
        switch self {
        case .counter, .gauge: 1
        case .histogram(let buckets): buckets.count + 3
        }
    }

    /// For messages and for `# TYPE`.
    package var name: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}

/// One series of a metric.
package struct MetricDescription: Hashable, Sendable {
    package struct Label: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package let kind: MetricKind
    /// A counter's ends in `_total`, as OpenMetrics demands.
    package let name: String
    package let help: String
    /// Sorted by name.
    package let labels: [Label]

    package static let nameLimit = 200
    package static let textLimit = 1_024
    package static let mostLabels = 16

    /// - Parameter isOwn: it is one of the pool's own metrics, whose names begin with `prefork_`.
    /// - Throws: whatever makes no sense in it.
    package init(
        _ kind: MetricKind, _ name: String, help: String, labels: [String: String], isOwn: Bool = false
    ) throws(MetricError) {
        guard Self.isName(name) else { throw MetricError(.badName(name)) }
        var name = name
        if kind == .counter, !name.hasSuffix("_total") { name += "_total" }
        let labels = labels.map { Label($0.key, $0.value) }.sorted { $0.name < $1.name }
        try self.init(kind, name, help, labels)
        if !isOwn, name.hasPrefix("prefork_") { throw MetricError(.reservedName(name)) }
    }

    /// Checks everything but reserved names.
    package init(_ kind: MetricKind, _ name: String, _ help: String, _ labels: [Label]) throws(MetricError) {
        guard Self.isName(name) else { throw MetricError(.badName(name)) }
        for (index, label) in labels.enumerated() {
            guard Self.isLabelName(label.name), index == 0 || labels[index - 1].name < label.name else {
                throw MetricError(.badLabel(label.name))
            }
            if case .histogram = kind, label.name == "le" { throw MetricError(.badLabel(label.name)) }
            if kind == .gauge(.live), label.name == "process" { throw MetricError(.badLabel(label.name)) }
        }
        let length = labels.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        guard labels.count <= Self.mostLabels, length <= Self.textLimit, help.utf8.count <= Self.textLimit else {
            throw MetricError(.tooLong(name))
        }
        if case .histogram(let buckets) = kind, buckets.bounds == nil {
            throw MetricError(.badBuckets("\(buckets)"))
        }
        self.kind = kind
        self.name = name
        self.help = help
        self.labels = labels
    }

    /// Prometheus, "Data model": names of metrics.
    static func isName(_ name: String) -> Bool {
        isWord(name, alsoColons: true) && name.utf8.count <= nameLimit
    }

    /// Names that begin with two underscores are Prometheus' own.
    static func isLabelName(_ name: String) -> Bool {
        isWord(name, alsoColons: false) && name.utf8.count <= nameLimit && !name.hasPrefix("__")
    }

    private static func isWord(_ text: String, alsoColons: Bool) -> Bool {
        var isFirst = true
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): break
            case UInt8(ascii: "0")...UInt8(ascii: "9"): if isFirst { return false }
            case UInt8(ascii: ":"): if !alsoColons { return false }
            default: return false
            }
            isFirst = false
        }
        return !isFirst
    }

    /// The name without the ending that OpenMetrics keeps for the samples of counters.
    package var family: String { kind == .counter ? String(name.dropLast("_total".count)) : name }

    /// The same series has the same key, whatever its help says.
    package var key: Key { Key(name: name, labels: labels) }

    package struct Key: Hashable, Sendable {
        let name: String
        let labels: [Label]
    }
}
