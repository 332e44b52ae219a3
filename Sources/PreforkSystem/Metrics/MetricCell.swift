// The words of a series in this process.

import CPrefork
import Synchronization

/// Words that this process alone changes, on one thread or several.
///
/// With one thread a load and a store suffice, which cost a fraction of an atomic addition: no other process writes
/// there, and the reader in the supervisor takes whole words. With several threads each change is one atomic step.
struct MetricCell: @unchecked Sendable {
    // Sendable: an address that is mapped for as long as the process lives. What is behind it is atomic.
    private let words: UnsafeMutableRawPointer

    /// - Parameter word: where the series begins, by `MetricRegistry`.
    init(word: Int, of base: UnsafeMutableRawPointer) { words = base + word * 8 }

    /// Where the series begins, or 0 if it is not in the window.
    var firstWord: Int {
        guard let base = MetricWindow.base else { return 0 }
        return max(0, (words - base) / 8)
    }

    /// Proof: callers name words of their own series, whose number the registry has reserved within the window, aligned
    /// to eight bytes and only ever used as this atomic word.
    @inline(__always)
    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (words + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always)
    func count(_ amount: UInt64, in index: Int = 0) {
        let word = word(index)
        if cprefork_is_surely_single_threaded() {
            word.pointee.store(word.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        } else {
            word.pointee.wrappingAdd(amount, ordering: .relaxed)
        }
    }

    @inline(__always)
    func add(_ amount: Double, to index: Int = 0) {
        let word = word(index)
        var old = word.pointee.load(ordering: .relaxed)
        if cprefork_is_surely_single_threaded() {
            return word.pointee.store((Double(bitPattern: old) + amount).bitPattern, ordering: .relaxed)
        }
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (isDone, found) = word.pointee.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if isDone { return }
            old = found
        }
    }

    @inline(__always)
    func load(_ index: Int = 0) -> UInt64 { word(index).pointee.load(ordering: .relaxed) }

    @inline(__always)
    func store(_ value: UInt64, to index: Int = 0) { word(index).pointee.store(value, ordering: .relaxed) }
}
