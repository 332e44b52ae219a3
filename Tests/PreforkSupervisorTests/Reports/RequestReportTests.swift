// What is told of requests: sentences, tables, JSON, and their bounds.

import Testing

@testable import PreforkSupervisor
@testable import PreforkSystem

@Suite struct RequestReportTests {
    private let now = MonotonicInstant(nanoseconds: 10_000_000_000)

    private func record(
        _ label: ForeignText?, seconds: Int = 1, executing: Bool = false, peer: SocketAddress? = nil
    ) -> RequestRecord {
        RequestRecord(
            sequence: 1, start: now + .seconds(-seconds), label: label, peer: peer, bytesRead: 7, isExecuting: executing)
    }

    private func hand(_ records: [RequestRecord], count: Int) -> RequestsInHand {
        var hand = RequestsInHand()
        hand.requests = records.map { RequestReport($0, at: now) }
        hand.count = count
        return hand
    }

    @Test func `The one that executes is named first, then the oldest few and the number of all`() {
        #expect(RequestsInHand().sentence == "")
        let peer = SocketAddress.ipv4(0x7F00_0001, port: 80)
        #expect(
            hand([record("/a", executing: true, peer: peer)], count: 1).sentence
                == "\"/a\" executing for 1.0 s, from 127.0.0.1:80")
        #expect(
            hand([record(nil, executing: true, peer: peer)], count: 1).sentence
                == "a message executing for 1.0 s, from 127.0.0.1:80, 7 bytes read")
        let waiting = (1...9).map { record("/w", seconds: $0) }
        let sentence = hand([record("/a", executing: true)] + waiting, count: 1_000).sentence
        #expect(sentence.hasPrefix("\"/a\" executing for 1.0 s; 999 more in flight, the oldest: \"/w\" waiting for 1.0 s"))
        #expect(sentence.split(separator: "/w").count == 4)
        #expect(hand([], count: 5).sentence == "5 in flight")
    }

    @Test func `A label commands no terminal, and is JSON`() throws {
        let label = ForeignText("/\u{1B}[2J\n\"\u{202E}")
        #expect(hand([record(label, executing: true)], count: 1).sentence.contains("/\\u{1B}[2J\\u{A}\"\\u{202E}"))
        var report = ExitReport(slot: 0, pid: 1, status: .signaled(.abort, coreDumped: false))
        report.had(hand([record(label, executing: true)], count: 3))
        var writer = JSONWriter()
        writer.reports([report])
        #expect(writer.bytes.allSatisfy { $0 >= 0x20 })
    }

    @Test func `The list of all workers is bounded, oldest first, and counts the others`() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: RequestRingLayout.byteCount, alignment: 64)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: RequestRingLayout.byteCount)
        let ring = RequestRing(memory: memory)
        for _ in 0..<20 {
            _ = Array("/a".utf8).withUnsafeBytes {
                ring.begin($0, includesQuery: false, trace: nil, executes: false)
            }
        }
        var list = InFlightRequests(workers: 1_000)
        #expect(list.mostOfWorker == 4)
        for worker in 0..<1_000 {
            let later = MonotonicInstant.now + .seconds(worker)
            list.add(
                RequestRingReading(memory, at: later, atMost: list.mostOfWorker), slot: worker, pid: Int32(worker),
                at: later)
        }
        list.finish()
        #expect(list.rows.count == InFlightRequests.most && list.leftOut == 20_000 - InFlightRequests.most)
        #expect(list.rows.first?.slot == 999)
        #expect(zip(list.rows, list.rows.dropFirst()).allSatisfy { $0.request.age >= $1.request.age })
    }
}
