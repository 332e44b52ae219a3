// A child's wake-up for its supervisor, without an open file that both of them have.

import CPrefork
import Glibc

/// The supervisor's side of one child's doorbell: an epoll instance in which the child itself, after the fork, puts an
/// eventfd that it makes. The supervisor watches the instance edge-triggered and never has the eventfd.
///
/// Two things follow from that. No call of the supervisor reads, writes or closes an open file of the child's, so the
/// child cannot make one sleep: O_NONBLOCK can be taken away, a pipe's read waits for a writer whose memory is slow
/// (userfaultfd(2), FUSE), and the last close of a file locks every epoll that watches it. And a doorbell that was
/// emptied or filled affects only the process that did it.
///
/// The child has two eventfds in it. One says that its line has messages, of which the supervisor believes only what no
/// other process could have written there. The other says that it has crashed, and only its own process can have rung
/// that.
///
/// Epoll wakes the outer instance at each write, whether or not the inner one has been read (ep_poll_callback in
/// fs/eventpoll.c), so that one wait reports each change.
package final class Doorbell: Sendable {
    private let ear: Epoll

    package init() throws(SystemError) {
        ear = try Epoll()
    }

    /// A doorbell that the previous image has made.
    package init(owning number: Int32) {
        ear = Epoll(owning: Descriptor(owning: number))
    }

    /// What the supervisor watches, for `EpollEvents.readableOnce`.
    package var number: Int32 { ear.descriptor.number }

    /// What a child rings.
    package struct Buttons: Sendable {
        /// The argument of `ring`. If negative, there is no doorbell, and ringing has no effect.
        package var news: Int32 = -1
        /// What `CrashMark.arm` takes.
        package var crash: Int32 = -1

        package init() {}
    }

    private static let newsWord: UInt64 = 0
    private static let crashWord: UInt64 = 1

    /// In the child, while it still has the inherited number, before any code of the program's own: makes its buttons
    /// and gives up the ear.
    ///
    /// - Returns: descriptors that the caller owns.
    package func attach() throws(SystemError) -> Buttons {
        let news = try EventCounter()
        try ear.add(news.descriptor.number, .readable, word: Self.newsWord)
        let crash = try EventCounter()
        try ear.add(crash.descriptor.number, .readable, word: Self.crashWord)
        closeDescriptor(number)
        var buttons = Buttons()
        buttons.news = news.release()
        buttons.crash = crash.release()
        return buttons
    }

    /// Whether the child has reported a crash. One epoll_wait(2), which queries eventfds and reads no counter.
    package var hasCrashed: Bool {
        var events = EpollEventBuffer(capacity: 2)
        guard (try? events.wait(ear, timeout: 0)) != nil else { return false }
        return (0..<events.count).contains { events[$0].word == Self.crashWord }
    }

    /// Wakes the supervisor. Async-signal-safe: one write(2).
    ///
    /// - Parameter button: if negative, there is no doorbell, and the call has no effect.
    package static func ring(_ button: Int32) {
        if button >= 0 { EventCounter.signal(button) }
    }
}
