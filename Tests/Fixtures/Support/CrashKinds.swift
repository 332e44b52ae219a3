// The ways in which Swift programs crash, each in a function of its own that a stack can name.

import Glibc

/// A kind of crash, as a client asks for it by its name.
public enum CrashKind: String, CaseIterable {
    case index, absent, overflow, fatal, recursion, memory, abort

    /// Does not return.
    @inline(never)
    public func crash(_ number: Int) {
        switch self {
        case .index: crashByIndex([number], number + 3)
        case .absent: crashByAbsence(number < 0 ? "" : nil)
        case .overflow: crashByOverflow(number < 0 ? 0 : 127)
        case .fatal: crashByFatalError(number)
        case .recursion: keep(crashByRecursion(number))
        case .memory: crashByMemory(UInt(bitPattern: number) % 8 + 16)
        case .abort: crashByAbort()
        }
    }
}

nonisolated(unsafe) private var kept = 0

/// What is kept is not optimised away. One thread of a worker that is about to end writes here.
@inline(never) private func keep(_ number: Int) { kept &+= number }

@inline(never) private func crashByIndex(_ numbers: [Int], _ index: Int) { keep(numbers[index]) }

@inline(never) private func crashByAbsence(_ text: String?) { keep(text!.count) }

@inline(never) private func crashByOverflow(_ number: Int8) { keep(Int(number + 1)) }

@inline(never) private func crashByFatalError(_ number: Int) { fatalError("order \(number) cannot be") }

@inline(never) private func crashByRecursion(_ number: Int) -> Int {
    // No loop can be made of it: it might end, and each call has something to do when the next one has returned.
    if number == kept &- 1 { return 0 }
    let deeper = crashByRecursion(number &+ 1)
    keep(deeper ^ number)
    return kept
}

@inline(never) private func crashByMemory(_ address: UInt) {
    keep(UnsafePointer<Int>(bitPattern: address)?.pointee ?? 0)
}

@inline(never) private func crashByAbort() { Glibc.abort() }
