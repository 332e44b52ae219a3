// Ranges that double, and counts in shared memory.

import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct HistogramTests {
    @Test(arguments: [1, 3, 16_000, 1 << 40, UInt64.max], [1, 5, 23, 64])
    func `Every value falls into the lowest range whose bound it does not exceed`(first: UInt64, count: Int) {
        let ranges = DoublingRanges(first: first, boundedCount: count)
        #expect(ranges.count == ranges.boundedCount + 1 && ranges.boundedCount >= 1 && ranges.boundedCount <= count)
        let bounds = (0..<ranges.boundedCount).map { ranges.bound($0) }
        #expect(bounds[0] == first && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 && $1 == $0 &* 2 })
        for bound in bounds {
            for value in [bound &- 1, bound, bound &+ 1] {
                #expect(ranges.index(of: value) == bounds.firstIndex { value <= $0 } ?? bounds.count)
            }
        }
        #expect(ranges.index(of: 0) == 0)
        #expect(ranges.index(of: .max) == (bounds.firstIndex { $0 == .max } ?? bounds.count))
    }

    @Test func `Absurd ranges become possible ones`() {
        #expect(DoublingRanges(first: 0, boundedCount: -5) == DoublingRanges(first: 1, boundedCount: 1))
        #expect(DoublingRanges(first: 1, boundedCount: .max).boundedCount == 64)
        #expect(DoublingRanges(first: 4, boundedCount: 2).bound(-1) == 4)
        #expect(DoublingRanges(first: 4, boundedCount: 2).bound(.max) == 8)
    }

    @Test func `What is written in words is read as a value, and cleared`() {
        let ranges = DoublingRanges(first: 10, boundedCount: 3)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: HistogramWords.byteCount(ranges) + 8, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: HistogramWords.byteCount(ranges))
        let behind = memory + HistogramWords.byteCount(ranges)
        behind.storeBytes(of: 77, as: UInt64.self)
        let words = HistogramWords(memory, ranges)
        var value = HistogramCounts(ranges)
        for number: UInt64 in [0, 10, 11, 20, 40, 41, 1_000] {
            words.add(number)
            value.add(number)
        }
        #expect(words.counts == value && value.counts == [2, 2, 1, 2] && value.sum == 1_122 && value.count == 7)
        words.clear()
        #expect(words.counts == HistogramCounts(ranges))
        #expect(behind.load(as: UInt64.self) == 77)
    }

    @Test func `Sums of words that hold anything wrap, and other ranges are not added`() {
        let ranges = DoublingRanges(first: 1, boundedCount: 1)
        let full = HistogramCounts(ranges, words: [.max, .max, .max, .max])
        var sum = full
        sum.add(full)
        sum.add(.max)
        #expect(sum.counts == [.max - 1, .max] && sum.sum == .max - 2 && sum.count == .max - 2)
        #expect(HistogramCounts(ranges, words: sum.words) == sum)
        let before = sum
        sum.add(HistogramCounts(DoublingRanges(first: 2, boundedCount: 1), words: [1, 1, 1]))
        #expect(sum == before)
    }
}
