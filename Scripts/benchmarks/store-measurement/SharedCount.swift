// A number that processes share, apart from what is measured.

import Glibc
import Synchronization

struct SharedCount: @unchecked Sendable {
    // Sendable: the word is atomic, and its memory is never unmapped.
    private let word: UnsafeMutablePointer<Atomic<Int>>

    /// Before the fork.
    init() {
        let memory = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { fatalError("mmap: errno \(errno)") }
        word = memory.bindMemory(to: Atomic<Int>.self, capacity: 1)
    }

    func add() {
        word.pointee.wrappingAdd(1, ordering: .relaxed)
    }

    /// Lets the others run until it has reached `count`.
    func wait(for count: Int) throws {
        let deadline = now() + 10
        while word.pointee.load(ordering: .relaxed) < count {
            if now() > deadline { throw WorkersFailed(reason: "messages are missing") }
            sched_yield()
        }
    }
}
