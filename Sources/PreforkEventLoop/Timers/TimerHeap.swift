// Timers, ordered by their deadlines.

import PreforkSystem

/// A binary heap of deadlines, each with an action that is handed out when the time has come.
///
/// Removing a timer that has not fired takes logarithmic time, and slots are used again: a steady state of timers
/// allocates nothing.
struct TimerHeap<Action> {
    /// Names a timer. A stale one (fired or removed) names nothing.
    struct ID: Hashable, Sendable {
        fileprivate var slot: Int
        fileprivate var serial: UInt64
    }

    private struct Slot {
        var serial: UInt64
        var position: Int
        var action: Action?
    }

    private var heap: [(deadline: MonotonicInstant, slot: Int)] = []
    private var slots: [Slot] = []
    private var free: [Int] = []
    private var nextSerial: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }

    /// The earliest deadline.
    var next: MonotonicInstant? { heap.first?.deadline }

    mutating func insert(_ action: Action, at deadline: MonotonicInstant) -> ID {
        nextSerial += 1
        let entry = Slot(serial: nextSerial, position: heap.count, action: action)
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            slots[slot] = entry
        } else {
            slot = slots.count
            slots.append(entry)
        }
        heap.append((deadline, slot))
        rise(from: heap.count - 1)
        return ID(slot: slot, serial: nextSerial)
    }

    /// - Returns: the action, which will not be handed out any more, or nil for a timer that has fired or was removed.
    @discardableResult
    mutating func remove(_ id: ID) -> Action? {
        guard slots.indices.contains(id.slot), slots[id.slot].serial == id.serial else { return nil }
        return remove(at: slots[id.slot].position)
    }

    /// The action of the earliest timer whose deadline is not after `now`, or nil if there is no such timer.
    mutating func popDue(at now: MonotonicInstant) -> Action? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        return remove(at: 0)
    }

    private mutating func remove(at position: Int) -> Action? {
        let slot = heap[position].slot
        let action = slots[slot].action
        slots[slot] = Slot(serial: 0, position: 0, action: nil)
        free.append(slot)
        let last = heap.removeLast()
        if position < heap.count {
            heap[position] = last
            slots[last.slot].position = position
            rise(from: position)
            sink(from: position)
        }
        return action
    }

    private mutating func rise(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { return }
            exchange(child, parent)
            child = parent
        }
    }

    private mutating func sink(from start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in 2 * parent + 1...2 * parent + 2
            where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            guard least != parent else { return }
            exchange(parent, least)
            parent = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        slots[heap[a].slot].position = a
        slots[heap[b].slot].position = b
    }
}
