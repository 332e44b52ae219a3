// What is sent together at the end of a turn of the loop.

/// An object that has something to do once all tasks of the present turn have run.
package protocol TurnEndObserver: AnyObject {
    /// Called on the loop, once for each `EventLoop.atTurnEnd`. It must not wait.
    func turnEnds()
}

extension EventLoop {
    /// Calls `observer.turnEnds()` before the loop polls its descriptors again: unlike a timer, it allocates nothing and
    /// reads no clock. On the loop's thread only. The observer is kept until then.
    package func atTurnEnd(_ observer: any TurnEndObserver) { turnEnds.append(observer) }

    /// Called before each poll.
    @inline(__always)
    func endTurn() {
        if !turnEnds.isEmpty { tellTurnEnds() }
    }

    /// What comes in meanwhile comes at the end of the next turn, which begins without waiting.
    @inline(never)
    private func tellTurnEnds() {
        var observers: [any TurnEndObserver] = []
        swap(&observers, &turnEnds)
        for observer in observers { observer.turnEnds() }
        observers.removeAll(keepingCapacity: true)
        if turnEnds.isEmpty { turnEnds = observers }
    }
}
