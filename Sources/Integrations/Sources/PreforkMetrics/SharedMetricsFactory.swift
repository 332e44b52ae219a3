// swift-metrics in a pool: what libraries count in any worker is on the supervisor's page.

import Metrics
import Prefork

/// A factory for `MetricsSystem.bootstrap` whose metrics all processes of a pool share: `SharedCounter`, `SharedGauge`,
/// `SharedHistogram`. `/metrics` of the supervisor shows their sums, the dead workers' included.
///
/// ```swift
/// MetricsSystem.bootstrap(SharedMetricsFactory())
/// ```
///
/// Call it in the program before the fork. Characters of labels that Prometheus does not know become underscores. A
/// counter stays a counter: `reset()` has no effect. A recorder that aggregates is a histogram, any other one a gauge with
/// the value that was recorded last. A timer is a histogram of seconds with the ending `_seconds`. A meter is a gauge with the
/// sum over all workers. A metric that conflicts with another one (`MetricError`) counts nowhere.
public struct SharedMetricsFactory: MetricsFactory {
    /// Of recorders that aggregate. Timers have `HistogramBuckets.seconds`.
    public var recorderBuckets = HistogramBuckets.exponential(from: 1, factor: 4, count: 16)
    /// Takes what cannot be made, with its label. If nil, it is left out without a word.
    public var onError: (@Sendable (String, MetricError) -> Void)?

    /// A factory with the buckets above.
    public init() {}

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        CounterMetric(make(label) { name throws(MetricError) in try SharedCounter(name, labels: labels(dimensions)) })
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        GaugeMetric(make(label) { name throws(MetricError) in try SharedGauge(name, .sum, labels: labels(dimensions)) })
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if !aggregate {
            return GaugeMetric(
                make(label) { name throws(MetricError) in try SharedGauge(name, .last, labels: labels(dimensions)) })
        }
        return HistogramMetric(
            make(label) { name throws(MetricError) in
                try SharedHistogram(name, recorderBuckets, labels: labels(dimensions))
            })
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let label = label.hasSuffix("_seconds") ? label : label + "_seconds"
        return HistogramMetric(
            make(label) { name throws(MetricError) in try SharedHistogram(name, .seconds, labels: labels(dimensions)) })
    }

    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    private func make<Metric>(_ label: String, _ body: (String) throws(MetricError) -> Metric) -> Metric? {
        do throws(MetricError) {
            return try body(Self.name(label, alsoColons: true))
        } catch {
            onError?(label, error)
            return nil
        }
    }

    /// The last value of a name that comes twice.
    private func labels(_ dimensions: [(String, String)]) -> [String: String] {
        Dictionary(dimensions.map { (Self.name($0.0, alsoColons: false), $0.1) }) { _, last in last }
    }

    /// `http.requests-in` as `http_requests_in`.
    static func name(_ label: String, alsoColons: Bool) -> String {
        let name = String(
            label.unicodeScalars.map { scalar -> Character in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", "_": Character(scalar)
                case ":" where alsoColons: ":"
                default: "_"
                }
            })
        return name.first?.isNumber == true ? "_" + name : name
    }
}

private final class CounterMetric: CounterHandler {
    private let counter: SharedCounter?

    init(_ counter: SharedCounter?) { self.counter = counter }

    func increment(by amount: Int64) { counter?.increment(by: Int(clamping: amount)) }

    /// What was counted stays: a counter that falls is a restart to Prometheus.
    func reset() {}
}

private final class GaugeMetric: MeterHandler, RecorderHandler {
    private let gauge: SharedGauge?

    init(_ gauge: SharedGauge?) { self.gauge = gauge }

    func set(_ value: Int64) { gauge?.set(Double(value)) }
    func set(_ value: Double) { gauge?.set(value) }
    func increment(by amount: Double) { gauge?.add(amount) }
    func decrement(by amount: Double) { gauge?.add(-amount) }
    func record(_ value: Int64) { gauge?.set(Double(value)) }
    func record(_ value: Double) { gauge?.set(value) }
}

private final class HistogramMetric: RecorderHandler, TimerHandler {
    private let histogram: SharedHistogram?

    init(_ histogram: SharedHistogram?) { self.histogram = histogram }

    func record(_ value: Int64) { histogram?.observe(Double(value)) }
    func record(_ value: Double) { histogram?.observe(value) }
    func recordNanoseconds(_ duration: Int64) { histogram?.observe(Double(duration) / 1e9) }
}
