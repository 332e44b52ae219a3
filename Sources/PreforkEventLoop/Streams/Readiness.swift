// What the kernel has said of a stream's descriptor.

import PreforkSystem

/// Whether a stream can be read and written, and the tasks that wait for it. On the loop's thread only.
///
/// An object beside `StreamChannel`, because the loop may still refer to it when the channel's last owner is gone. A weak
/// reference to the channel would do as well, but costs 190 instructions of each request (callgrind, Swift 6.3.1): an
/// object with a weak reference counts all its references in a side table (RefCount.h).
final class Readiness {
    let readers: WaitSlot
    let writers: WaitSlot
    // Unchecked exclusivity. Proof: each access is one load, one store or one append, and nothing is called meanwhile.
    @exclusivity(unchecked) var mayRead = true
    @exclusivity(unchecked) var mayWrite = true
    /// The peer has finished or is gone. What it had sent may still wait in the kernel.
    @exclusivity(unchecked) private(set) var hasHungUp = false
    /// The connection is offered to another process: nothing wakes its tasks before there is an answer.
    @exclusivity(unchecked) var isMoving = false
    @exclusivity(unchecked) private var closeObservers: [() -> Void] = []

    init(on loop: EventLoop) {
        readers = WaitSlot(loop: loop)
        writers = WaitSlot(loop: loop)
    }

    func handle(_ events: EpollEvents) {
        if events.isOver || events.isReadable {
            mayRead = true
            if !isMoving { readers.resume(.ready) }
        }
        if events.isOver || events.isWritable {
            mayWrite = true
            if !isMoving { writers.resume(.ready) }
        }
        if events.isOver || events.isPeerFinished {
            hasHungUp = true
            tellCloseObservers()
        }
    }

    func observeClose(_ body: @escaping () -> Void) { closeObservers.append(body) }

    func tellCloseObservers() {
        let observers = closeObservers
        closeObservers = []
        for observer in observers { observer() }
    }
}
