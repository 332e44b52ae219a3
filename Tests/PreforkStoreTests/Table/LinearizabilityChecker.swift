// Whether a history of overlapping operations could have happened one after the other.

/// What was asked of one key, and what was answered.
enum KeyOperation: Equatable {
    case get(Int?)
    case set(Int)
    case compareAndSet(expected: Int?, new: Int, done: Bool)
    /// Adding so many gave this sum.
    case add(Int, sum: Int)

    /// The value after it. Nil if a key with this value cannot give the answer.
    func after(_ value: Int?) -> Int?? {
        switch self {
        case .get(let seen): seen == value ? .some(value) : nil
        case .set(let new): .some(new)
        case .compareAndSet(let expected, let new, let done):
            done == (expected == value) ? .some(done ? new : value) : nil
        case .add(let amount, let sum): sum == (value ?? 0) + amount ? .some(sum) : nil
        }
    }
}

/// One operation of a history: it took effect at some instant from its begin to its end.
struct HistoryEvent {
    var process: Int
    var begin: Int64
    var end: Int64
    var operation: KeyOperation
}

/// Wing and Gong's search (1993), with Lowe's memory of what was tried: which operations are done, and the value then.
struct LinearizabilityChecker {
    private struct Tried: Hashable {
        var done: [UInt64]
        var value: Int?
    }

    /// - Returns: nil if there is an order, else how many operations the longest order that fits has, and the events
    ///   that could not come next.
    static func contradiction(in history: [HistoryEvent]) -> String? {
        let events = history.sorted { $0.begin < $1.begin }
        var done = [UInt64](repeating: 0, count: (events.count + 63) / 64)
        func isDone(_ index: Int) -> Bool { done[index / 64] & 1 << UInt64(index % 64) != 0 }
        func flip(_ index: Int) { done[index / 64] ^= 1 << UInt64(index % 64) }
        /// An operation can be next if it began before every other one that is not done has ended.
        func candidates() -> [Int] {
            var firstEnd = Int64.max
            var found: [Int] = []
            var index = done.firstIndex { $0 != .max }.map { $0 * 64 } ?? events.count
            while index < events.count, events[index].begin <= firstEnd {
                if !isDone(index) {
                    firstEnd = min(firstEnd, events[index].end)
                    found.append(index)
                }
                index += 1
            }
            return found.filter { events[$0].begin <= firstEnd }
        }
        var tried: Set<Tried> = []
        var path: [(event: Int, before: Int?, others: ArraySlice<Int>)] = []
        var value: Int?
        var open = candidates()[...]
        var longest = (count: 0, what: "")
        while path.count < events.count {
            if path.count >= longest.count {
                longest = (path.count, open.map { "\(events[$0])" }.joined(separator: "\n"))
            }
            var isFound = false
            while !isFound, let next = open.popFirst() {
                guard let after = events[next].operation.after(value) else { continue }
                flip(next)
                if tried.insert(Tried(done: done, value: after)).inserted {
                    path.append((next, value, open))
                    value = after
                    open = candidates()[...]
                    isFound = true
                } else {
                    flip(next)
                }
            }
            if isFound { continue }
            guard let last = path.popLast() else {
                return
                    "after \(longest.count) of \(events.count) operations none of these can be next:\n\(longest.what)"
            }
            flip(last.event)
            value = last.before
            open = last.others
        }
        return nil
    }
}
