// Request marks in memory that another process reads.

import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkSystem

/// Memory of one ring, and a thread that counts as the loop's.
private final class Board {
    let memory: UnsafeMutableRawPointer
    let ring: RequestRing

    init() {
        memory = .allocate(byteCount: RequestRingLayout.byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: RequestRingLayout.byteCount)
        ring = RequestRing(memory: memory)
    }

    deinit { memory.deallocate() }

    /// Runs `body` as if this thread ran the ring's loop.
    func onLoop<Result>(_ body: () throws -> Result) rethrows -> Result {
        let before = ThreadLoop.current
        ThreadLoop.current = memory
        defer { ThreadLoop.current = before }
        ring.becomeRing(ofLoop: memory)
        return try body()
    }

    func begin(
        _ label: String, query: Bool = false, trace: TraceID? = nil, executes: Bool = false
    ) -> RequestMark {
        Array(label.utf8).withUnsafeBytes { ring.begin($0, includesQuery: query, trace: trace, executes: executes) }
    }

    func read(atMost most: Int = .max) -> RequestRingReading {
        RequestRingReading(memory, at: .now, atMost: most)
    }

    var labels: [String] { read().records.compactMap { $0.label?.unescaped } }

    func store(_ value: UInt64, at index: Int) {
        RequestRingLayout.word(memory, index).pointee.store(value, ordering: .relaxed)
    }
}

@Suite struct RequestRingTests {
    @Test func `A mark is there until it ends`() {
        let board = Board()
        board.onLoop {
            let mark = board.begin("/a", trace: TraceID(high: 1, low: 2))
            let record = board.read().records.first
            #expect(record?.label == "/a" && record?.trace == TraceID(high: 1, low: 2) && record?.isExecuting == false)
            #expect(board.read().count == 1)
            mark.end()
            #expect(board.read() == RequestRingReading())
        }
    }

    @Test(arguments: 0...140) func `Labels of every length are kept, of long ones the first 128 bytes`(length: Int) {
        let board = Board()
        let label = String((0..<length).map { "abcdefghijklmnopqrstuvwxyz"[$0 % 26] })
        board.onLoop {
            _ = board.begin(label)
            #expect(board.labels == [String(label.prefix(128))])
        }
    }

    @Test(arguments: 0..<40) func `A label ends before its query, wherever that begins`(position: Int) {
        let path = String(repeating: "/", count: position)
        for rest in ["?", "?a", "?token=secret&a=??"] {
            let board = Board()
            board.onLoop {
                let mark = board.begin(path + rest)
                #expect(board.labels == [path])
                mark.end()
                _ = board.begin(path + rest, query: true)
                #expect(board.labels == [path + rest])
            }
        }
    }

    @Test func `A second end changes nothing, not even after the slot has another mark`() {
        let board = Board()
        board.onLoop {
            let first = board.begin("/first")
            first.end()
            first.end()
            let second = board.begin("/second")
            first.end()
            #expect(board.labels == ["/second"])
            #expect(board.read().count == 1)
            second.end()
            #expect(board.read().count == 0)
        }
    }

    @Test func `Of more requests than there are slots the last is named and all are counted`() {
        let board = Board()
        board.onLoop {
            var marks = (0..<100).map { board.begin("/\($0)") }
            #expect(board.read().count == 100)
            #expect(board.read().records.count == 33)
            #expect(board.labels.contains("/0") && board.labels.contains("/31") && board.labels.contains("/99"))
            #expect(!board.labels.contains("/32"))
            marks.removeLast().end()
            #expect(!board.labels.contains("/99"))
            for mark in marks { mark.end() }
            #expect(board.read() == RequestRingReading())
            // All slots can be had again.
            let again = (0..<32).map { board.begin("/\($0)") }
            #expect(board.labels.count == 32)
            for mark in again { mark.end() }
        }
    }

    @Test func `Marks of other threads have slots of their own, and may end on the loop`() {
        let board = Board()
        board.ring.becomeRing(ofLoop: board.memory)
        let marks = (0..<20).map { board.begin("/\($0)") }
        #expect(board.read().records.count == 17)
        #expect(board.read().count == 20)
        board.onLoop {
            _ = board.begin("/loop")
            for mark in marks { mark.end() }
            #expect(board.labels == ["/loop"])
            #expect(board.read().count == 1)
        }
        #expect(board.begin("/again").slot < RequestRingLayout.elsewhereSpare)
    }

    @Test func `Slots of the loop that other threads have emptied are found again`() {
        let board = Board()
        let marks = board.onLoop { (0..<32).map { board.begin("/\($0)") } }
        for mark in marks { mark.end() }
        #expect(board.read() == RequestRingReading())
        board.onLoop {
            let again = (0..<32).map { board.begin("/again \($0)") }
            #expect(board.labels.count == 32)
            #expect(again.allSatisfy { $0.slot < RequestRingLayout.loopSpare })
        }
    }

    @Test func `Threads that mark at once lose nothing`() async {
        let board = Board()
        // Proof: the ring is made for several threads.
        nonisolated(unsafe) let shared = board
        await withTaskGroup { group in
            for thread in 0..<8 {
                group.addTask {
                    for number in 0..<2_000 {
                        let mark = shared.begin("/\(thread)/\(number)")
                        if number.isMultiple(of: 3) { mark.end() }
                        mark.end()
                    }
                }
            }
        }
        #expect(board.labels == [])
        #expect((0..<16).map { _ in board.begin("/x").slot }.allSatisfy { $0 < RequestRingLayout.elsewhereSpare })
    }

    @Test func `The request of the task that runs is executing, the innermost first`() {
        let board = Board()
        board.onLoop {
            board.ring.runs(7)
            _ = board.begin("/outer")
            _ = board.begin("/inner")
            board.ring.runs(8)
            _ = board.begin("/other")
            board.ring.runs(7)
            let records = board.read().records
            #expect(records.map(\.label) == ["/inner", "/outer", "/other"])
            #expect(records.map(\.isExecuting) == [true, true, false])
            board.ring.runs(0)
            #expect(board.read().records.allSatisfy { !$0.isExecuting })
        }
        _ = board.begin("/thread", executes: true)
        #expect(board.read().records.first?.label == "/thread")
        #expect(board.read().records.first?.isExecuting == true)
    }

    @Test func `A connection gives its peer to the request of its task`() {
        let board = Board()
        let peer = SocketAddress.ipv6(1, 2, port: 3, scope: 4)
        board.onLoop {
            board.ring.runs(7)
            var connection = ConnectionMark(in: board.ring, peer: peer)
            connection.begin()
            connection.begin()
            connection.noteRead(40)
            #expect(board.read().records.map(\.peer) == [peer])
            #expect(board.read().records.first?.label == nil)
            let mark = board.begin("/a")
            #expect(board.read().count == 1)
            #expect(board.read().records.map(\.peer) == [peer])
            #expect(board.read().records.map(\.bytesRead) == [40])
            mark.end()
            connection.end()
            connection.end()
            #expect(board.read() == RequestRingReading())
        }
    }

    @Test func `Whatever stands in the words, reading them is bounded and traps at nothing`() {
        let board = Board()
        var random = SplitMix64(seed: 4711)
        let special: [UInt64] = [0, 1, .max, 1 << 63, UInt64(Int64.max), 0xFF, 0x3FF]
        for round in 0..<2_000 {
            for index in 0..<RequestRingLayout.byteCount / 8 {
                let word = random.next()
                board.store(round % 3 == 0 ? special[Int(word % 7)] : word, at: index)
            }
            let reading = board.read(atMost: round % 80)
            #expect(reading.records.count <= min(round % 80, RequestRingLayout.slotCount))
            #expect(reading.count >= reading.records.count && reading.count <= Int(UInt32.max))
            for record in reading.records {
                #expect(record.start <= .now)
                // What is not UTF-8 becomes three bytes.
                #expect(record.label?.unescaped.utf8.count ?? 0 <= 3 * RequestRingLayout.labelLimit)
            }
        }
        RequestRingReading.clear(board.memory)
        #expect(board.read() == RequestRingReading())
    }

    @Test func `A process whose words another one writes over keeps its slots`() {
        let board = Board()
        board.onLoop {
            for round in 0..<100 {
                let marks = (0..<32).map { board.begin("/\($0)") }
                for index in 0..<RequestRingLayout.byteCount / 8 { board.store(UInt64(round) &* 0x9E37_79B9, at: index) }
                for mark in marks { mark.end() }
            }
            RequestRingReading.clear(board.memory)
            _ = board.begin("/a")
            #expect(board.labels == ["/a"])
        }
    }
}

@Suite struct TraceIDTests {
    private let text = "4bf92f3577b34da6a3ce929d0e0e4736"

    @Test func `Reads an ID, and that of a traceparent`() {
        #expect(TraceID(text)?.description == text)
        #expect(TraceID("00-\(text)-00f067aa0ba902b7-01")?.description == text)
        #expect(TraceID(text.uppercased())?.description == text)
        #expect(TraceID(high: 0, low: 1).description == String(repeating: "0", count: 31) + "1")
    }

    @Test(arguments: ["", "0", "00000000000000000000000000000000", "+bf92f3577b34da6a3ce929d0e0e4736", "00--", "ä"])
    func `Other text is none`(text: String) {
        #expect(TraceID(text) == nil)
    }
}

extension String {
    fileprivate subscript(index: Int) -> Character { self[self.index(startIndex, offsetBy: index)] }
}
