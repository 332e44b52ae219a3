// The number of this process in a family of forked ones.

import CPrefork

/// A number that differs between a process and every child it forks: what a process has cached about itself counts
/// while the number is the same. Costs a load, where getpid(2) has been a system call since glibc 2.25.
package enum ForkCount {
    /// Never 0.
    @inline(__always)
    package static var current: UInt64 { cprefork_fork_count() }

    /// This process was not forked since its program began.
    package static var isFirst: Bool { current == 1 }
}
