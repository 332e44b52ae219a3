// A supervisor with its workers and managed processes, and the programs that these have started.

import Synchronization

/// What a worker or managed process does for its family.
package enum Family {
    // Proof: written once by the only thread of a freshly forked child, before it runs any code of the program.
    package private(set) nonisolated(unsafe) static var isMember = false

    private struct Farewells {
        var process: UInt64 = 0
        var calls: [@Sendable () -> Void] = []
    }

    private static let farewells = Mutex(Farewells())

    /// Whether children of this process have other rights than it has: what they have made must not be trusted here.
    // Proof: written while the process has one thread, before it forks the first of them.
    package private(set) nonisolated(unsafe) static var hasOtherRights = false

    /// Children will become another user.
    package static func noteOtherRights() { hasOtherRights = true }

    /// Whether this process must not use memory that one of its children has made: the kernel has a process that touches it
    /// wait while a child makes holes in it (`MemoryFile.keepWhole`).
    package static var isBehindWall: Bool { hasOtherRights && !isMember }

    /// In a freshly forked child.
    package static func join() { isMember = true }

    /// Has `call` made when this process ends by itself. A child that it forks does not inherit it.
    package static func atEnd(_ call: @escaping @Sendable () -> Void) {
        farewells.withLock { farewells in
            if farewells.process != ForkCount.current { farewells = Farewells(process: ForkCount.current) }
            farewells.calls.append(call)
        }
    }

    /// From `exitChild`.
    static func leave() {
        // A thread that is at `atEnd` just now adds what this end is too early for.
        let calls = farewells.withLockIfAvailable { $0.process == ForkCount.current ? $0.calls : [] } ?? []
        for call in calls { call() }
    }
}
