// The parameters of shared metrics with values that make no sense.

import PreforkSystem
import PreforkTestSupport
import Testing

extension ParameterTableTests {
    static let metrics: [ParameterRow] = metricNames + metricLabels + metricValues

    /// A label's value: its name is `label`.
    private static func metricLabel(
        _ parameter: String, _ make: @escaping @Sendable ([String: String]) throws -> Void
    ) -> [ParameterRow] {
        Parameter.text(
            parameter, empty: .means("a value"), huge: .refused("too long"), other: .means("a value, escaped on the page")
        ) { try make(["label": $0]) }
            + Parameter.value(parameter, "a name with a space", .refused("a b", "name of a label")) { try make(["a b": ""]) }
            + Parameter.value(parameter, "17 of them", .refused("too long")) {
                try make(Dictionary(uniqueKeysWithValues: (0..<17).map { ("l\($0)", "") }))
            }
    }

    /// What is no example is left out.
    private static func metricExemplar(
        _ parameter: String, _ leave: @escaping @Sendable ([String: String]) throws -> Void
    ) -> [ParameterRow] {
        Parameter.text(
            parameter, empty: .means("a value"), huge: .means("left out"), other: .means("a value, escaped on the page")
        ) { try leave(["trace_id": $0]) }
            + Parameter.value(parameter, "a name with a space", .means("left out")) { try leave(["a b": ""]) }
    }

    private static let metricLabels: [ParameterRow] =
        metricLabel("SharedCounter.init.labels") { _ = try SharedCounter("parameters_labels", labels: $0) }
        + metricLabel("SharedGauge.init.labels") { _ = try SharedGauge("parameters_labels_gauge", .sum, labels: $0) }
        + metricLabel("SharedHistogram.init.labels") { _ = try SharedHistogram("parameters_labels_time", labels: $0) }
        + metricExemplar("SharedCounter.increment.exemplar") {
            try SharedCounter("parameters_amount").increment(exemplar: $0)
        }
        + metricExemplar("SharedHistogram.observe.exemplar") {
            try SharedHistogram("parameters_histogram").observe(1, exemplar: $0)
        }

    private static func metricName(
        _ parameter: String, _ make: @escaping @Sendable (String) throws -> Void
    ) -> [ParameterRow] {
        Parameter.text(
            parameter, empty: .refused("cannot be the name"), huge: .refused("more bytes", "cannot be the name"),
            nul: .refused("a\\u{0}b"), controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("../x"),
            foreign: .refused("größe \\u{202E}")) { try make($0) }
    }

    private static func metricHelp(
        _ parameter: String, _ make: @escaping @Sendable (String) throws -> Void
    ) -> [ParameterRow] {
        Parameter.text(
            parameter, empty: .means("no line of help"), huge: .refused("too long"),
            other: .means("escaped on the page")) { try make($0) }
    }

    private static let metricNames: [ParameterRow] =
        metricName("SharedCounter.init.name") { _ = try SharedCounter($0) }
        + metricName("SharedGauge.init.name") { _ = try SharedGauge($0, .sum) }
        + metricName("SharedHistogram.init.name") { _ = try SharedHistogram($0) }
        + metricHelp("SharedCounter.init.help") { _ = try SharedCounter("parameters_help", help: $0) }
        + metricHelp("SharedGauge.init.help") { _ = try SharedGauge("parameters_gauge", .sum, help: $0) }
        + metricHelp("SharedHistogram.init.help") { _ = try SharedHistogram("parameters_histogram", help: $0) }

    private static let metricValues: [ParameterRow] =
        Parameter.number(
            "SharedCounter.increment.by", zero: .means("nothing is counted"), negative: .means("nothing is counted"),
            huge: .means("so many")
        ) { (amount: Int) in
            let counter = try SharedCounter("parameters_amount")
            let before = counter.ownValue
            counter.increment(by: amount)
            #expect(counter.ownValue == before &+ UInt64(max(0, amount)))
            counter.increment(by: amount, exemplar: ["trace_id": "a"])
        }
        + Parameter.fraction(
            "SharedGauge.set.value", zero: .means("zero"), negative: .means("a value"), huge: .means("a value"),
            notANumber: .means("NaN on the page")) { try SharedGauge("parameters_gauge", .sum).set($0) }
        + Parameter.fraction(
            "SharedGauge.add.amount", zero: .means("no change"), negative: .means("subtracts"), huge: .means("a value"),
            notANumber: .means("NaN on the page")) { try SharedGauge("parameters_gauge", .sum).add($0) }
        + Parameter.fraction(
            "SharedHistogram.observe.value", zero: .means("the lowest bucket"), negative: .means("the lowest bucket"),
            huge: .means("the bucket without a bound"), notANumber: .means("not counted")
        ) {
            let histogram = try SharedHistogram("parameters_histogram")
            histogram.observe($0)
            histogram.observe($0, exemplar: ["": "", "trace_id": String(repeating: "x", count: 1_000)])
        }
        + Parameter.duration(
            "SharedHistogram.observe.seconds", zero: .means("the lowest bucket"), negative: .means("the lowest bucket"),
            huge: .means("the bucket without a bound")
        ) { try SharedHistogram("parameters_histogram").observe(seconds: $0) }
        + Parameter.fraction(
            "HistogramBuckets.exponential.from", zero: .refused("do not grow"), negative: .refused("do not grow"),
            huge: .refused("do not grow"), notANumber: .refused("do not grow")
        ) { _ = try SharedHistogram("parameters_buckets", .exponential(from: $0, factor: 10, count: 64)) }
        + Parameter.fraction(
            "HistogramBuckets.exponential.factor", zero: .refused("do not grow"), negative: .refused("do not grow"),
            huge: .refused("do not grow"), notANumber: .refused("do not grow")
        ) { _ = try SharedHistogram("parameters_buckets", .exponential(from: 1, factor: $0, count: 3)) }
        + Parameter.number(
            "HistogramBuckets.exponential.count", zero: .refused("do not grow"), negative: .refused("do not grow"),
            huge: .refused("do not grow")
        ) { (count: Int) in
            _ = try SharedHistogram("parameters_buckets", .exponential(from: 1, factor: 2, count: count))
        }
}
