// The program's metrics as text.

import PreforkSystem

/// The format that a scraper asks for.
package enum MetricFormat: Hashable, Sendable {
    /// Prometheus' text, version 0.0.4.
    case prometheus
    /// OpenMetrics, version 1.0.0: with the times at which series began, and an end.
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}

/// Makes a page of the series of a table. It keeps what does not change between two pages: names, labels and bounds.
final class MetricPage {
    /// What stands before a series' values: a line for each of them.
    private var prefixes: [[[UInt8]]] = []
    /// Names, each with its series.
    private var families: [(name: String, entries: [Int])] = []
    private var version = -1

    private func prepare(_ table: MetricTable) {
        if version == table.version { return }
        version = table.version
        for number in prefixes.count..<table.entries.count {
            prefixes.append(Self.prefixes(of: table.entries[number].description))
        }
        let living = table.entries.indices.filter { !table.entries[$0].isDead }
        families = Dictionary(grouping: living) { table.entries[$0].description.name }
            .map { (name: $0.key, entries: $0.value) }.sorted { $0.name < $1.name }
    }

    private static func labels(_ labels: [MetricDescription.Label]) -> String {
        labels.map { "\($0.name)=\"\(ForeignText($0.value).escaped(for: .prometheus))\"" }.joined(separator: ",")
    }

    private static func line(_ name: String, _ labels: String) -> [UInt8] {
        Array((labels.isEmpty ? "\(name) " : "\(name){\(labels)} ").utf8)
    }

    private static func prefixes(of description: MetricDescription) -> [[UInt8]] {
        let labels = labels(description.labels)
        let name = description.name
        guard case .histogram(let buckets) = description.kind else { return [line(name, labels)] }
        let bounds = (buckets.bounds ?? []).map { "\($0)" } + ["+Inf"]
        let before = labels.isEmpty ? "" : "\(labels),"
        return bounds.map { line("\(name)_bucket", "\(before)le=\"\($0)\"") }
            + [line("\(name)_sum", labels), line("\(name)_count", labels)]
    }

    /// Appends all series.
    func write(_ totals: MetricTotals, _ table: MetricTable, _ format: MetricFormat, to text: inout [UInt8]) {
        prepare(table)
        writeRefused(totals, format, to: &text)
        for family in families {
            guard let first = family.entries.first else { continue }
            let description = table.entries[first].description
            head(description, format, to: &text)
            for number in family.entries {
                series(number, table.entries[number], totals, format, to: &text)
                if format == .openMetrics { created(table.entries[number], to: &text) }
            }
        }
    }

    private func writeRefused(_ totals: MetricTotals, _ format: MetricFormat, to text: inout [UInt8]) {
        let name = "prefork_refused_series"
        let family = format == .openMetrics ? name : "\(name)_total"
        text += "# HELP \(family) Series of the program's metrics that are left out: too many, or of conflicting names\n".utf8
        text += "# TYPE \(family) counter\n".utf8
        Self.sample(Self.line("\(name)_total", ""), totals.values[MetricTable.refusedValue], to: &text)
    }

    private func head(_ description: MetricDescription, _ format: MetricFormat, to text: inout [UInt8]) {
        let name = format == .openMetrics ? description.family : description.name
        let help = Self.help(description.help, format)
        if !help.isEmpty { text += "# HELP \(name) \(help)\n".utf8 }
        text += "# TYPE \(name) \(description.kind.name)\n".utf8
    }

    /// Backslashes and line feeds are escaped, and in OpenMetrics quotes, too.
    private static func help(_ help: String, _ format: MetricFormat) -> String {
        var result = ""
        for scalar in help.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += " "
            case "\"" where format == .openMetrics: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private func series(
        _ number: Int, _ entry: MetricTable.Entry, _ totals: MetricTotals, _ format: MetricFormat,
        to text: inout [UInt8]
    ) {
        let prefixes = prefixes[number]
        func exemplar(_ bucket: Int) -> MetricExemplar? {
            guard format == .openMetrics, !totals.exemplars.isEmpty else { return nil }
            return totals.exemplars[MetricTotals.ExemplarKey(entry: number, bucket: bucket)]
        }
        switch entry.description.kind {
        case .counter:
            Self.sample(prefixes[0], totals.values[entry.value], exemplar(0), to: &text)
        case .gauge(let aggregation):
            guard let total = totals.gauges[number] else { return }
            switch aggregation {
            case .sum: Self.sample(prefixes[0], total.sum, to: &text)
            case .max: Self.sample(prefixes[0], total.greatest, to: &text)
            case .last: Self.sample(prefixes[0], total.last, to: &text)
            case .live:
                let labels = entry.description.labels
                for (process, value) in total.each {
                    let all = Self.labels(labels + [MetricDescription.Label("process", process)])
                    Self.sample(Self.line(entry.description.name, all), value, to: &text)
                }
            }
        case .histogram(let buckets):
            var below: UInt64 = 0
            for index in 0...buckets.count {
                below &+= totals.values[entry.value + 1 + index]
                Self.sample(prefixes[index], below, exemplar(index), to: &text)
            }
            Self.sample(prefixes[buckets.count + 1], Double(bitPattern: totals.values[entry.value]), to: &text)
            Self.sample(prefixes[buckets.count + 2], below, to: &text)
        }
    }

    private func created(_ entry: MetricTable.Entry, to text: inout [UInt8]) {
        if case .gauge = entry.description.kind { return }
        let line = Self.line("\(entry.description.family)_created", Self.labels(entry.description.labels))
        Self.sample(line, entry.created, to: &text)
    }

    private static func sample(
        _ prefix: [UInt8], _ value: UInt64, _ exemplar: MetricExemplar? = nil, to text: inout [UInt8]
    ) {
        text += prefix
        text += "\(value)".utf8
        if let exemplar {
            text += " # {\(labels(exemplar.labels))} \(number(exemplar.value)) \(Double(exemplar.time) / 1_000)".utf8
        }
        text.append(UInt8(ascii: "\n"))
    }

    private static func sample(_ prefix: [UInt8], _ value: Double, to text: inout [UInt8]) {
        text += prefix
        text += "\(number(value))\n".utf8
    }

    /// As Prometheus reads it.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return "\(value)"
    }
}
