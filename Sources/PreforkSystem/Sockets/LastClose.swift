// Closing sockets that a process with fewer privileges had, too, without waiting for what it has put into them.

import CPrefork
import Glibc
import Synchronization

/// The last close of a Unix socket discards unread data, and with it descriptors that were in flight (SCM_RIGHTS of
/// unix(7)). A TCP socket among them that has SO_LINGER and unsent data makes the closer wait as long as its sender and
/// the peer like. So does a socket whose lock another process holds.
///
/// A process that exits does not wait for SO_LINGER (PF_EXITING in inet_release), and no process needs to wait for its
/// exit. So a child has the sockets open while this process closes them, and then ends.
package enum LastClose {
    /// Holders that had not ended at the last check: the kernel is at work on their descriptors.
    private static let unreaped = Mutex<[Int32]>([])

    /// Calls `body`, which closes `numbers` in this process or puts other files in their places, and is never the last
    /// to close them.
    ///
    /// - Parameter patience: how long the holder's end is waited for, in milliseconds. It ends within one, unless the
    ///   machine is busy or a process prevents the kernel from closing what it held.
    /// - Throws: pipe's or clone's error, and `body` was not called.
    package static func elsewhere<Value, Failure: Error>(
        _ numbers: [Int32], patience: Int32 = 20, _ body: () throws(Failure) -> Value
    ) throws(SystemError) -> Result<Value, Failure> {
        unreaped.withLock { $0.removeAll { cprefork_reap_holder($0) != 0 } }
        let sorted = numbers.sorted()
        var release: Int32 = -1
        let child = try systemCall("clone", on: "holder of descriptors") {
            cprefork_fork_holder(sorted, Int32(sorted.count), &release)
        }
        let result = Result<Value, Failure> { () throws(Failure) in try body() }
        closeDescriptor(release)
        reap(child, patience)
        return result
    }

    /// Closes sockets, mostly at the end of a program. It waits longer for the holder, so that no child is left when
    /// the program has ended. If no child can be forked they stay open: a descriptor too many is better than a
    /// supervisor that waits.
    ///
    /// - Returns: whether they are closed.
    @discardableResult
    package static func close(_ numbers: [Int32]) -> Bool {
        if numbers.isEmpty { return true }
        return (try? elsewhere(numbers, patience: 200) { closeDescriptors(numbers) }) != nil
    }

    /// Closes Unix sockets of this process that children of it may have had.
    ///
    /// If no data waits in them, the close cannot wait, and no child is needed. A process that adds data between the
    /// check and the close has the socket open, so the close is not the last one. That process would have to end at
    /// that very moment, which it cannot foresee.
    static func closeShared(_ numbers: [Int32]) {
        var looks = numbers.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        if poll(&looks, nfds_t(looks.count), 0) == 0 { closeDescriptors(numbers) } else { close(numbers) }
    }

    /// Closes a descriptor that a process with fewer rights has sent. The holder is not waited for: a process that sends many
    /// must not slow this process down by that.
    static func closeForeign(_ number: Int32) {
        var look = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        if poll(&look, 1, 0) > 0, (try? elsewhere([number], patience: 0) { closeDescriptor(number) }) != nil { return }
        closeDescriptor(number)
    }

    /// One that has not ended by then is collected by a later call.
    private static func reap(_ child: Int32, _ patience: Int32) {
        let pidfd = cprefork_pidfd_open(child)
        if pidfd >= 0 {
            var status = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            _ = poll(&status, 1, patience)
            closeDescriptor(pidfd)
        }
        if cprefork_reap_holder(child) == 0 { unreaped.withLock { $0.append(child) } }
    }
}
