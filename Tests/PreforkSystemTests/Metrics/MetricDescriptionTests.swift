// Names, labels and buckets of metrics, and their bytes.

import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct MetricDescriptionTests {
    private func code(_ body: () throws -> Void) -> MetricError.Code? {
        do { try body() } catch { return (error as? MetricError)?.code }
        return nil
    }

    @Test(arguments: ["", "1a", "a b", "a-b", "ä", "a\n", String(repeating: "a", count: 201)])
    func `A name that Prometheus does not know is refused`(name: String) {
        #expect(code { _ = try SharedGauge(name, .sum) } == .badName(name))
    }

    @Test func `Names and labels that have a meaning already are refused`() {
        #expect(
            code { _ = try SharedCounter("prefork_x") } == .reservedName("prefork_x_total"))
        for label in ["__a", "", "a:b", "0"] {
            #expect(code { _ = try SharedCounter("d", labels: [label: ""]) } == .badLabel(label))
        }
        #expect(code { _ = try SharedHistogram("d", labels: ["le": ""]) } == .badLabel("le"))
        #expect(
            code { _ = try SharedGauge("d", .live, labels: ["process": ""]) }
                == .badLabel("process"))
    }

    @Test func `Too many labels and too long ones are refused`() {
        let many = Dictionary(uniqueKeysWithValues: (0..<17).map { ("l\($0)", "") })
        #expect(code { _ = try SharedGauge("e", .sum, labels: many) } == .tooLong("e"))
        let long = String(repeating: "x", count: 1_024)
        #expect(code { _ = try SharedGauge("e", .sum, labels: ["a": long]) } == .tooLong("e"))
        #expect(code { _ = try SharedGauge("e", .sum, help: long + "x") } == .tooLong("e"))
    }

    @Test(arguments: [
        (0.0, 2.0, 3), (-1, 2, 3), (.nan, 2, 3), (.infinity, 2, 3), (1, 1, 3), (1, 0.5, 3), (1, .nan, 3), (1, 2, 0),
        (1, 2, 65), (1, 2, -1), (1e300, 1e10, 3), (.leastNonzeroMagnitude, 2, 3), (1, 1.0000000000000001, 2),
    ])
    func `Buckets that do not grow are refused`(start: Double, factor: Double, count: Int) {
        let buckets = HistogramBuckets.exponential(from: start, factor: factor, count: count)
        guard case .badBuckets = code({ _ = try SharedHistogram("f", buckets) }) else {
            Issue.record("\(buckets) was taken")
            return
        }
    }

    @Test func `A second metric of a name must be like the first`() throws {
        _ = try SharedCounter("conflict_a", labels: ["x": "1"])
        _ = try SharedCounter("conflict_a_total", help: "another help is no conflict", labels: ["x": "2"])
        _ = try SharedHistogram("conflict_h", .seconds)
        let bodies: [() throws -> Void] = [
            { _ = try SharedCounter("conflict_a") },
            { _ = try SharedCounter("conflict_a", labels: ["y": "1"]) },
            { _ = try SharedGauge("conflict_a_total", .sum, labels: ["x": "1"]) },
            { _ = try SharedGauge("conflict_a", .sum) },
            { _ = try SharedHistogram("conflict_h", .exponential(from: 1, factor: 3, count: 2)) },
            { _ = try SharedGauge("conflict_h_sum", .max) },
            { _ = try SharedGauge("conflict_h_bucket", .max) },
        ]
        for (number, body) in bodies.enumerated() {
            guard case .conflict = code(body) else {
                Issue.record("number \(number) was taken")
                continue
            }
        }
    }

    @Test func `A description comes back from its bytes`() throws {
        let kinds: [MetricKind] = [
            .counter, .gauge(.sum), .gauge(.max), .gauge(.last), .gauge(.live), .histogram(.seconds),
            .histogram(.exponential(from: 1, factor: 10, count: 64)),
        ]
        for kind in kinds {
            let series = try MetricDescription(kind, "n", help: "ä\n\"", labels: ["b": "\\", "a": "", "c": "π"])
            let (list, length) = MetricDescription.records(series.bytes + series.bytes + [1, 2])
            #expect(list == [series, series] && length == 2 * series.bytes.count)
        }
    }

    @Test func `Any bytes are read, and never trap`() throws {
        var random = SplitMix64(seed: 7)
        let series = try MetricDescription(.histogram(.seconds), "n", help: "help", labels: ["a": "b"])
        for _ in 0..<20_000 {
            var bytes = series.bytes
            for _ in 0..<(1 + random.next() % 4) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
            let (list, length) = MetricDescription.records(bytes)
            #expect(length <= bytes.count && list.count <= 1 + bytes.count / 5)
        }
    }
}
