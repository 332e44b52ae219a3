// get, get as a String, set, increment; readers beside a writer.

import Prefork

let storeRows: Rows = [
    "get": { try measureStore($0) { $0.getIntoBuffer } },
    "get-string": { try measureStore($0, holding: .texts) { $0.getString } },
    "set": { try measureStore($0) { $0.set } },
    "increment": incrementRow,
    "get-beside": besideRow,
    "recovery": recoveryRow,
]

struct WrongValue: Error {
    let key: String
}

/// A store with 1,000 entries of 64 bytes, and what is done to it. Keys and values are made before it is measured.
///
/// Keys are lent by a span, as an array of C lends them: an element that is taken out of an array is retained and
/// released, which would be measured, too.
struct MeasuredStore: Sendable {
    enum Contents {
        case bytes, texts
    }

    let store: SharedStore
    let keys = (0..<keyCount).map { "key:" + padded($0) }
    let counters = (0..<keyCount).map { "sum:" + padded($0) }
    /// Each is one word eight times, so that a torn value is seen.
    let values = (0..<16).map { [UInt8](repeating: UInt8($0), count: 64) }

    init(holding contents: Contents = .bytes) throws {
        store = try SharedStore(capacity: StoreCapacity(entries: 4_096, bytes: 16 << 20))
        let text = String(repeating: "12345678", count: 8)
        for key in keys {
            switch contents {
            case .bytes: try store.set(key, values[0])
            case .texts: try store.set(key, text)
            }
        }
    }

    @Sendable func getIntoBuffer(_ first: Int, _ round: Int) throws {
        let keys = keys.span
        try withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
            for index in first..<first + operationsPerStep {
                guard try store.get(keys[index], into: buffer) == 64,
                    buffer.load(as: UInt64.self) == buffer.load(fromByteOffset: 56, as: UInt64.self)
                else { throw WrongValue(key: keys[index]) }
            }
        }
    }

    @Sendable func getString(_ first: Int, _ round: Int) throws {
        let keys = keys.span
        for index in first..<first + operationsPerStep {
            let text: String? = try store.get(keys[index])
            guard let text, text.utf8.count == 64 else { throw WrongValue(key: keys[index]) }
        }
    }

    /// As in C: the value is written in place before each call. Taken from an array of arrays, its reference count would be
    /// measured, too (4 ns).
    @Sendable func set(_ first: Int, _ round: Int) throws {
        let keys = keys.span
        var value = [UInt8](repeating: 0, count: 64)
        for index in first..<first + operationsPerStep {
            let word = UInt64((round &+ index) & 15) &* 0x0101_0101_0101_0101
            value.withUnsafeMutableBytes { bytes in
                for offset in stride(from: 0, to: 64, by: 8) { bytes.storeBytes(of: word, toByteOffset: offset, as: UInt64.self) }
            }
            try store.set(keys[index], value)
        }
    }

    @Sendable func increment(_ first: Int, _ round: Int) throws {
        let counters = counters.span
        for index in first..<first + operationsPerStep {
            guard try store.increment(counters[index], by: 1) > 0 else { throw WrongValue(key: counters[index]) }
        }
    }

    /// What was counted, the warming up of each process included, is what the processes did.
    func checkSum(operations: Int, workers: Int) throws {
        var sum = 0
        for counter in counters {
            let value: Int? = try store.get(counter)
            sum += value ?? 0
        }
        guard sum == operations + workers * operationsPerStep else { throw WrongValue(key: "the sum of all counters") }
    }
}

/// Eight digits.
private func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: 8 - digits.count) + digits
}

private func measureStore(
    _ arguments: Arguments, holding contents: MeasuredStore.Contents = .bytes,
    _ step: (MeasuredStore) -> @Sendable (Int, Int) throws -> Void
) throws {
    let store = try MeasuredStore(holding: contents)
    let job = Job(step: step(store))
    try measure(job, workers: arguments.integer(0), for: arguments.number(1))
    try store.getIntoBuffer(0, 0)
}

@Sendable private func incrementRow(_ arguments: Arguments) throws {
    let store = try MeasuredStore()
    let workers = try arguments.integer(0)
    let operations = try measure(Job(step: store.increment), workers: workers, for: arguments.number(1))
    try store.checkSum(operations: operations, workers: workers)
}

@Sendable private func besideRow(_ arguments: Arguments) throws {
    let store = try MeasuredStore()
    let writer = Job(pace: try arguments.number(2) / Double(operationsPerStep), step: store.set)
    try measure(
        Job(step: store.getIntoBuffer), workers: arguments.integer(0), beside: writer, for: arguments.number(1))
}
