// A file descriptor that has exactly one owner.

import CPrefork
import Glibc

/// A file descriptor that is closed exactly once: when its owner goes away, or earlier by `close()`.
///
/// Descriptors are born close-on-exec everywhere in this package, so that a program a worker starts inherits
/// nothing (cesanta/mongoose #1302, mojolicious #606: a leaked listener blocks the next start).
package struct Descriptor: ~Copyable, Sendable {
    package let number: Int32

    /// Takes ownership of a descriptor that no other code closes.
    package init(owning number: Int32) {
        self.number = number
    }

    deinit {
        closeDescriptor(number)
    }

    /// Closes now instead of at the end of the owner's life.
    package consuming func close() {}

    /// Gives the descriptor up without closing it.
    package consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }
}

/// close(2), never retried: on Linux the number is free again even when the call reports EINTR.
package func closeDescriptor(_ number: Int32) {
    _ = Glibc.close(number)
}

/// Closes a descriptor that another process has sent and that this process does not use.
///
/// A socket with SO_LINGER would make its last closer wait for the peer (socket(7)). Descriptors whose close itself
/// waits, such as files of file systems in user space, cannot be detected here.
package func closeForeignDescriptor(_ number: Int32) {
    var off = linger()
    _ = setsockopt(number, SOL_SOCKET, SO_LINGER, &off, socklen_t(MemoryLayout<linger>.size))
    // What lies in a Unix socket is closed with it, and may have SO_LINGER, too.
    if Family.isBehindWall { LastClose.closeForeign(number) } else { closeDescriptor(number) }
}

/// Closes every descriptor of `numbers` in this process, with one close_range(2) for each unbroken run of numbers.
package func closeDescriptors(_ numbers: [Int32]) {
    for run in unbrokenRuns(of: numbers) { closeDescriptors(run) }
}

/// The numbers in order, as runs without a gap.
///
/// A supervisor of 1,000 workers holds 1,000 pidfds that its children must not keep, and a call for each would be a
/// million calls for one start. The supervisor computes the runs before the fork.
package func unbrokenRuns(of numbers: [Int32]) -> [ClosedRange<Int32>] {
    var runs: [ClosedRange<Int32>] = []
    for number in numbers.sorted() {
        if let last = runs.last, number <= last.upperBound + 1 {
            runs[runs.count - 1] = last.lowerBound...max(last.upperBound, number)
        } else {
            runs.append(number...number)
        }
    }
    return runs
}

/// Closes one run of numbers. Makes and frees nothing: for a child that was just forked.
package func closeDescriptors(_ run: ClosedRange<Int32>) {
    if cprefork_close_range(UInt32(run.lowerBound), UInt32(run.upperBound)) == 0 { return }
    for number in run { closeDescriptor(number) }
}

/// O_NONBLOCK: the flag belongs to the open file and is shared with every process that has it.
package func setNonBlocking(_ number: Int32) throws(SystemError) {
    try systemCall("ioctl", on: "descriptor \(number)") { cprefork_set_nonblocking(number) }
}

/// FD_CLOEXEC on a descriptor that came from outside.
package func setCloseOnExec(_ number: Int32) throws(SystemError) {
    try systemCall("fcntl", on: "descriptor \(number)") { cprefork_fcntl(number, F_SETFD, FD_CLOEXEC) }
}

/// Raises the soft limit of open files (RLIMIT_NOFILE) to `needed`, as far as the hard limit allows.
///
/// - Returns: the soft limit afterwards.
@discardableResult
package func raiseDescriptorLimit(to needed: UInt64) throws(SystemError) -> UInt64 {
    var limit = rlimit()
    try systemCall("getrlimit", on: "RLIMIT_NOFILE") { getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
    guard limit.rlim_cur < needed, limit.rlim_cur < limit.rlim_max else { return UInt64(limit.rlim_cur) }
    limit.rlim_cur = min(rlim_t(needed), limit.rlim_max)
    try systemCall("setrlimit", on: "RLIMIT_NOFILE") { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
    return UInt64(limit.rlim_cur)
}
