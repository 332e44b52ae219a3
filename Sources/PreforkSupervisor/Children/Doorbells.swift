// The doorbells of a supervisor's children: which child has rung, and which rings too often.

import PreforkSystem

/// How often a doorbell rang lately. Its owner may ring it in a loop, and each time would wake the supervisor.
struct RingRate: Equatable {
    static let most = 64
    static let window = Duration.seconds(1)
    static let pause = Duration.milliseconds(100)

    private var windowStart: MonotonicInstant?
    private var count = 0

    /// - Returns: true when the doorbell must rest now.
    mutating func ring(at now: MonotonicInstant) -> Bool {
        if let start = windowStart, now - start < Self.window {
            count += 1
        } else {
            windowStart = now
            count = 1
        }
        return count > Self.most
    }
}

/// The doorbells by a key that their user chooses. The user watches them by its own epoll.
///
/// The supervisor ignores a doorbell that rings too often for 100 ms at a time. It checks a child without a doorbell,
/// for which no descriptor was left, as often.
struct Doorbells {
    private struct Entry {
        let bell: Doorbell?
        var word: UInt64
        var rate = RingRate()
        /// How far its ring was read. See `ManagedOrderRing.take`.
        var position: UInt64?
    }

    private var entries: [UInt64: Entry] = [:]
    /// Children that are checked without a ring, and when.
    private var looks: [UInt64: MonotonicInstant] = [:]

    /// Makes a doorbell for a child that is about to be forked.
    ///
    /// - Returns: nil when no descriptor is left.
    mutating func add(
        _ key: UInt64, by epoll: borrowing Epoll, word: UInt64, at now: MonotonicInstant
    ) -> Doorbell? {
        let bell = try? Doorbell()
        return insert(bell, key, by: epoll, word: word, at: now)
    }

    /// Takes over a doorbell of the previous image.
    ///
    /// - Parameter number: the number of its doorbell. If nil, it had none.
    mutating func inherit(
        _ key: UInt64, number: Int32?, by epoll: borrowing Epoll, word: UInt64, at now: MonotonicInstant
    ) {
        _ = insert(number.map { Doorbell(owning: $0) }, key, by: epoll, word: word, at: now)
    }

    private mutating func insert(
        _ new: Doorbell?, _ key: UInt64, by epoll: borrowing Epoll, word: UInt64, at now: MonotonicInstant
    ) -> Doorbell? {
        var bell = new
        if let new {
            do throws(SystemError) { try epoll.add(new.number, .readableOnce, word: word) } catch { bell = nil }
        }
        entries[key] = Entry(bell: bell, word: word)
        looks[key] = bell == nil ? now + RingRate.pause : nil
        return bell
    }

    /// Its owner has another key from here on. What has rung under the old word, and was not heard, is reported again.
    mutating func rename(
        _ key: UInt64, to other: UInt64, by epoll: borrowing Epoll, word: UInt64, at now: MonotonicInstant
    ) {
        guard var entry = entries.removeValue(forKey: key) else { return }
        entry.word = word
        entries[other] = entry
        let look = looks.removeValue(forKey: key)
        looks[other] = look
        // One that rests has its word when it counts again.
        guard look == nil, let bell = entry.bell else { return }
        do throws(SystemError) { try epoll.modify(bell.number, .readableOnce, word: word) } catch {
            looks[other] = now + RingRate.pause
        }
    }

    /// Closes it: what its owner, or a process that outlives it, still rings is heard by no one.
    mutating func remove(_ key: UInt64, from epoll: borrowing Epoll) {
        // A child of the program's own, which the supervisor does not know, may have a copy that stays in the epoll.
        if let bell = entries[key]?.bell { epoll.remove(bell.number) }
        entries[key] = nil
        looks[key] = nil
    }

    subscript(key: UInt64) -> Doorbell? { entries[key]?.bell }

    /// What a child must not keep, except its own until `Doorbell.attach`.
    var numbers: [Int32] { entries.values.compactMap { $0.bell?.number } }

    var nextLook: MonotonicInstant? { looks.isEmpty ? nil : looks.values.min() }

    mutating func rang(_ key: UInt64, by epoll: borrowing Epoll, at now: MonotonicInstant) {
        guard entries[key]?.rate.ring(at: now) == true, let bell = entries[key]?.bell, let word = entries[key]?.word
        else { return }
        // Modified and not removed: to add an epoll to an epoll takes a lock of the whole kernel.
        do throws(SystemError) { try epoll.modify(bell.number, [], word: word) } catch { return }
        looks[key] = now + RingRate.pause
    }

    /// Children that must be checked now. A doorbell that was ignored counts again.
    mutating func due(at now: MonotonicInstant, by epoll: borrowing Epoll) -> [UInt64] {
        if looks.isEmpty { return [] }
        let keys = looks.filter { $0.value <= now }.map(\.key)
        for key in keys {
            guard let entry = entries[key], let bell = entry.bell else {
                looks[key] = now + RingRate.pause
                continue
            }
            looks[key] = nil
            do throws(SystemError) {
                // Reports at once what has rung meanwhile.
                try epoll.modify(bell.number, .readableOnce, word: entry.word)
            } catch {
                looks[key] = now + RingRate.pause
            }
        }
        return keys.sorted()
    }

    /// The words in the ring of a child, at most 16.
    mutating func takeControls(of key: UInt64, from ring: ManagedOrderRing) -> [UInt64] {
        guard entries[key] != nil else { return [] }
        return ring.take(from: &entries[key]!.position)
    }
}
