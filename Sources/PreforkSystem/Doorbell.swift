// How a child wakes its supervisor, without an open file that both of them have.

import CPrefork
import Glibc

/// The supervisor's side of one child's doorbell: an epoll instance in which the child itself, after the fork, puts an
/// eventfd that it makes. The supervisor watches the instance edge-triggered and never has the eventfd.
///
/// Two things follow from that. No call of the supervisor reads, writes or closes an open file of the child's, so the
/// child cannot make one sleep: O_NONBLOCK can be taken away, a pipe's read waits for a writer whose memory is slow
/// (userfaultfd(2), FUSE), and the last close of a file locks every epoll that watches it. And a doorbell that was
/// emptied or filled is the trouble of the process alone that did it.
///
/// Epoll wakes the outer instance at each write, whether or not the inner one has been looked at (ep_poll_callback in
/// fs/eventpoll.c), so that one wait tells of each change.
package final class Doorbell: Sendable {
    private let ear: Epoll

    package init() throws(SystemError) {
        ear = try Epoll()
    }

    /// One that the image before has made.
    package init(owning number: Int32) {
        ear = Epoll(owning: Descriptor(owning: number))
    }

    /// What the supervisor watches, for `EpollEvents.readableOnce`.
    package var number: Int32 { ear.descriptor.number }

    /// In the child, while it still has the inherited number, before any code of the program's own: makes its button
    /// and gives up the ear.
    ///
    /// - Returns: what `ring` takes. The caller owns it.
    package func attach() throws(SystemError) -> Int32 {
        let button = try EventCounter()
        try ear.add(button.descriptor.number, .readable, word: 0)
        closeDescriptor(number)
        return button.release()
    }

    /// Wakes the supervisor. Async-signal-safe: one write(2).
    ///
    /// - Parameter button: negative: there is none, and nothing happens.
    package static func ring(_ button: Int32) {
        if button >= 0 { EventCounter.signal(button) }
    }
}
