// Which names are taken, and by which metrics.

/// The metrics of one page, by name. Two metrics conflict if Prometheus could not tell their samples apart, or if one
/// name had two meanings.
package struct MetricFamilies: Sendable {
    private struct Family {
        let kind: MetricKind
        let labels: [String]
        var series = 1
    }

    private var families: [String: Family] = [:]
    /// Names of samples, and the metrics that have them.
    private var samples: [String: String] = [:]

    package init() {}

    /// Whether the series can stand beside those that were added.
    ///
    /// - Throws: `.conflict`.
    package func check(_ series: MetricDescription) throws(MetricError) {
        let labels = series.labels.map(\.name)
        if let family = families[series.name] {
            if family.kind == series.kind, family.labels == labels { return }
            let reason =
                family.kind == series.kind
                ? "the one with labels \(family.labels)"
                : "a \(family.kind.name) of that name\(family.kind.name == series.kind.name ? " and another form" : "")"
            throw MetricError(.conflict(name: series.name, with: reason))
        }
        for name in series.sampleNames {
            if let other = samples[name] { throw MetricError(.conflict(name: series.name, with: "\"\(other)\"")) }
        }
    }

    /// After `check`.
    package mutating func add(_ series: MetricDescription) {
        if families[series.name] != nil {
            families[series.name]?.series += 1
            return
        }
        families[series.name] = Family(kind: series.kind, labels: series.labels.map(\.name))
        for name in series.sampleNames { samples[name] = series.name }
    }

    /// A series that was added goes.
    package mutating func remove(_ series: MetricDescription) {
        guard let count = families[series.name]?.series else { return }
        if count > 1 {
            families[series.name]?.series = count - 1
            return
        }
        families[series.name] = nil
        for name in series.sampleNames { samples[name] = nil }
    }
}

extension MetricDescription {
    /// The names that stand on the page, in either format.
    fileprivate var sampleNames: [String] {
        switch kind {
        case .counter: [name, family, "\(family)_created"]
        case .gauge: [name]
        case .histogram: [name, "\(name)_bucket", "\(name)_sum", "\(name)_count", "\(name)_created"]
        }
    }
}
