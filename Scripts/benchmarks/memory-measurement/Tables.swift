// The tables that are measured, and what a worker does with one.

import Glibc
import Prefork

/// A form of table, by its name on the command line.
enum Form: String {
    case dictionary, frozen, trivial, store
}

/// Makes a table and freezes it, if that is its form.
///
/// - Returns: milliseconds of the processor for freezing, and a look-up of all entries, which returns how many it has found.
func table(
    _ form: Form, of count: Int, by runtime: ForkRuntime
) throws -> (freezing: Double, look: @Sendable () throws -> Int) {
    switch form {
    case .dictionary, .frozen:
        var table: [String: String] = [:]
        for number in 0..<count { table[key(number)] = value(number) }
        let begin = milliseconds()
        if form == .frozen { try runtime.freeze(table) }
        return (milliseconds() - begin, { [table] in (0..<count).count { table[key($0)] == value($0) } })
    case .trivial:
        var table: [UInt64: UInt64] = [:]
        for number in 0..<UInt64(count) { table[hashed(number)] = number }
        return (0, { [table] in (0..<UInt64(count)).count { table[hashed($0)] == $0 } })
    case .store:
        let store = try SharedStore(capacity: StoreCapacity(entries: count, bytes: count * 512))
        for number in 0..<count { try store.set(key(number), value(number)) }
        return (0, { try (0..<count).count { try store.get(key($0), as: String.self) == value($0) } })
    }
}

/// Texts of 47 and 49 bytes, which lie in objects.
private func key(_ number: Int) -> String { "the key of the entry with the number \(1_000_000_000 + number)" }
private func value(_ number: Int) -> String { "the value of the entry with the number \(1_000_000_000 + number)" }

private func hashed(_ number: UInt64) -> UInt64 { number &* 0x9E37_79B9_7F4A_7C15 }

/// Milliseconds of the processor.
func milliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
}

/// KiB that no other process has (/proc/self/smaps_rollup).
func privateMemory() -> Int {
    guard let file = fopen("/proc/self/smaps_rollup", "re") else { return -1 }
    defer { fclose(file) }
    var sum = 0
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, 256, file) != nil {
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: " ")
        if words.count > 1, words[0] == "Private_Clean:" || words[0] == "Private_Dirty:" { sum += Int(words[1]) ?? 0 }
    }
    return sum
}
