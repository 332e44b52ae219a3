// Which generation of forks this process is: getpid(2) without its price, which glibc 2.25 and later pay at each call.

import Glibc
import Synchronization

/// A number that is another one in a forked child than it was in its parent.
package enum ForkEpoch {
    /// Changes in a child before fork(2) returns there. Compare it with one that was taken earlier in the same address
    /// space; it says nothing about two processes.
    @inline(__always)
    package static var current: UInt32 {
        // Without a handler (no memory for it), the process ID tells the same, for the price of a system call.
        isCounting ? forks.load(ordering: .relaxed) : UInt32(truncatingIfNeeded: getpid())
    }
}

private let forks = Atomic<UInt32>(0)
private let isCounting = pthread_atfork(nil, nil, { forks.wrappingAdd(1, ordering: .relaxed) }) == 0
