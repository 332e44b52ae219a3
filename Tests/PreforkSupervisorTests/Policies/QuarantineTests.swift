// Labels whose requests are refused: the decisions, and the list that workers read.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct QuarantineTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    /// `#expect` calls no mutating function.
    private func add(_ label: ForeignText, to quarantine: inout Quarantine) -> Bool { quarantine.add(label) }
    private func remove(_ label: ForeignText, from quarantine: inout Quarantine) -> Bool { quarantine.remove(label) }

    private func crash(
        _ labels: [ForeignText], _ quarantine: inout Quarantine, at now: MonotonicInstant
    ) -> Quarantine.Verdict { quarantine.crashed(labels, at: now) }
    private func expire(_ quarantine: inout Quarantine, at now: MonotonicInstant) -> [ForeignText] {
        quarantine.expire(at: now)
    }

    private func after(_ seconds: Int) -> MonotonicInstant { start + .seconds(seconds) }

    @Test func `A label that crashes often enough within the time is refused until it was quiet for as long`() {
        var quarantine = Quarantine(QuarantinePolicy(crashes: 3, per: .seconds(60)))
        #expect(crash(["/a", "/b"], &quarantine, at: after(0)).added.isEmpty)
        #expect(crash(["/a"], &quarantine, at: after(30)).added.isEmpty)
        #expect(crash(["/b"], &quarantine, at: after(61)).added.isEmpty)
        // The first crash of /a is too old by now.
        #expect(crash(["/a"], &quarantine, at: after(60)).added.isEmpty)
        #expect(crash(["/a"], &quarantine, at: after(70)).added == ["/a"])
        #expect(quarantine.nextDeadline == after(130))
        // One that was begun before.
        #expect(crash(["/a"], &quarantine, at: after(80)).added.isEmpty)
        #expect(expire(&quarantine, at: after(139)).isEmpty)
        #expect(expire(&quarantine, at: after(140)) == ["/a"])
        #expect(quarantine.entries.isEmpty && quarantine.nextDeadline == nil)
        #expect(crash(["/a"], &quarantine, at: after(141)).added.isEmpty)
    }

    @Test func `Without a policy only an operator refuses, and only an operator releases`() {
        var quarantine = Quarantine(nil)
        for second in 0..<100 { #expect(crash(["/a"], &quarantine, at: after(second)) == Quarantine.Verdict()) }
        #expect(add("/b", to: &quarantine))
        #expect(expire(&quarantine, at: .distantFuture).isEmpty)
        #expect(!remove("/a", from: &quarantine))
        #expect(remove("/b", from: &quarantine))
        #expect(quarantine.entries.isEmpty)
    }

    @Test func `Whatever workers say, what is remembered is bounded`() {
        var quarantine = Quarantine(QuarantinePolicy(crashes: 2, per: .seconds(1_000)))
        for number in 0..<2_000 { _ = quarantine.crashed([ForeignText("/\(number)")], at: start) }
        #expect(quarantine.suspectCount == Quarantine.mostSuspects)
        var isFull = false
        for number in 0..<200 {
            let label = [ForeignText("/again/\(number)")]
            _ = quarantine.crashed(label, at: start)
            isFull = quarantine.crashed(label, at: start).isFull || isFull
        }
        #expect(isFull && quarantine.entries.count == QuarantineList.mostEntries)
        #expect(!add("/more", to: &quarantine))
        #expect(add("/again/0", to: &quarantine))
    }

    @Test func `Workers find exactly the labels on the list`() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: QuarantineList.byteCount, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: QuarantineList.byteCount)
        let list = QuarantineList(at: memory)
        func isRefused(_ label: String, query: Bool = false) -> Bool {
            Array(label.utf8).withUnsafeBytes { list.entry(of: $0, includesQuery: query) != nil }
        }
        #expect(list.isEmpty && !isRefused("/a"))
        let long = String(repeating: "x", count: 128)
        list.set(["/a", long, ""].map { .init(label: Array($0.utf8), until: nil) })
        #expect(!list.isEmpty && isRefused("/a") && isRefused("/a?b=c") && !isRefused("/a?b=c", query: true))
        #expect(isRefused(long) && isRefused(long + "y") && isRefused(""))
        #expect(!isRefused("/") && !isRefused("/ab") && !isRefused(String(long.dropLast())))
        list.set((0..<100).map { .init(label: Array("/\($0)".utf8), until: start) })
        #expect(isRefused("/0") && isRefused("/63") && !isRefused("/64") && !isRefused("/a"))
        list.set([])
        #expect(list.isEmpty && !isRefused("/0"))
    }
}

@Suite struct SlowRequestTests {
    @Test func `A slow request is told once, and its successor anew`() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: RequestRingLayout.byteCount, alignment: 64)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: RequestRingLayout.byteCount)
        let ring = RequestRing(memory: memory)
        var slow = SlowRequests()
        func news(after time: Duration) -> [String?] {
            let now = MonotonicInstant.now + time
            let reading = RequestRingReading(memory, at: now)
            return slow.news(of: 1, in: reading, limit: .seconds(2), at: now).map(\.label?.unescaped)
        }
        func begin(_ label: StaticString) -> RequestMark {
            let bytes = UnsafeRawBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount)
            return ring.begin(bytes, includesQuery: false, trace: nil, executes: false)
        }
        let mark = begin("/slow")
        #expect(news(after: .seconds(1)).isEmpty)
        #expect(news(after: .seconds(3)) == ["/slow"])
        #expect(news(after: .seconds(4)).isEmpty)
        mark.end()
        let next = begin("/slow")
        #expect(news(after: .seconds(5)) == ["/slow"])
        next.end()
        slow.keepOnly([])
    }
}
