// Which bucket a value falls into.

import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct BucketIndexTests {
    static let shapes: [HistogramBuckets] = [
        .seconds, .exponential(from: 1, factor: 2, count: 64), .exponential(from: 0.001, factor: 1.01, count: 64),
        .exponential(from: 3, factor: 10, count: 20), .exponential(from: 1e-300, factor: 1e8, count: 64),
        .exponential(from: 7, factor: 1.5, count: 1), .exponential(from: 2.2250738585072014e-308, factor: 2, count: 3),
    ]

    @Test(arguments: shapes)
    func `Every value falls into the lowest bucket whose bound it does not exceed`(buckets: HistogramBuckets) throws {
        let index = try #require(BucketIndex.of(buckets))
        let bounds = try #require(buckets.bounds)
        var random = SplitMix64(seed: 3)
        var values = bounds.flatMap { [$0, $0.nextUp, $0.nextDown, $0 * 1.003] }
        values += [0, -1, -.infinity, .infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0]
        for _ in 0..<10_000 {
            let value = Double(bitPattern: random.next())
            if !value.isNaN { values.append(value) }
        }
        for value in values {
            #expect(index.index(of: value) == bounds.firstIndex { value <= $0 } ?? bounds.count, "\(value)")
        }
    }

    @Test func `A histogram counts what is a number`() throws {
        let histogram = try SharedHistogram("bucket_index_seconds", .seconds)
        for value in [0.001, .nan, 100, -3, .infinity] { histogram.observe(value) }
        histogram.observe(seconds: .milliseconds(3))
        #expect(histogram.ownCount == 5)
    }

    @Test func `A counter counts upwards, and the same name is the same counter`() throws {
        let counter = try SharedCounter("bucket_index_counter", labels: ["a": "b"])
        counter.increment()
        counter.increment(by: 0)
        counter.increment(by: -5)
        counter.increment(by: .min)
        try SharedCounter("bucket_index_counter_total", labels: ["a": "b"]).increment(by: 41)
        #expect(counter.ownValue == 42)
    }
}
