// The lists of a queue: free cells, messages in order. Under the lock only.

import PreforkSystem
import Synchronization

extension QueueTable {
    /// Records that the lists cannot be trusted. The next process that takes the lock tries to rebuild them.
    func damage(_ what: String) -> Failure {
        self[.isUnsettled] = 1
        return .corrupt(what)
    }

    var isClosed: Bool { self[.isClosed] == QueueHeader.closedValue }

    /// Under the lock, when there seems to be no room: a count that was written over would refuse senders for as long
    /// as the queue lives. A queue that is rightly full spends a fiftieth of its time on it, at most.
    func examineFreeCells() throws(Failure) {
        let begin = MonotonicInstant.now
        guard begin.nanoseconds > nextExamination.load(ordering: .relaxed) else { return }
        // Only a list that does not add up is rebuilt, because lists that are rebuilt from the messages alone have lost
        // the order in which dead letters died.
        if Int(truncatingIfNeeded: self[.freeCount]) != Int(cellCount) - cellsInUse {
            self[.damages] &+= 1
            try rebuild()
        }
        let pause = max(.seconds(1), (MonotonicInstant.now - begin) * 50)
        nextExamination.store((begin + pause).nanoseconds, ordering: .relaxed)
    }

    /// How many cells the messages have, as each of them says.
    private var cellsInUse: Int {
        (0..<cellCount).reduce(0) { sum, cell in
            self[state: cell] == .free ? sum : sum + Self.cells(for: min(Int(self[cell, .length]), messageLimit))
        }
    }

    /// The last message of a list, or no cell. Asked before a commit, so that damage is found before, too.
    func last(of head: QueueHeader, tail: QueueHeader, tag: QueueState.Tag) throws(Failure) -> UInt32 {
        if self[link: head] == QueueCell.none { return QueueCell.none }
        let last = self[link: tail]
        guard last < cellCount, self[state: last].tag == tag, self[last, .follower] == QueueCell.none else {
            throw damage("the last message")
        }
        return last
    }

    /// Makes `cell` the last of a list of messages, after `last`.
    func append(_ cell: UInt32, after last: UInt32, to head: QueueHeader, tail: QueueHeader) {
        self[cell, .follower] = QueueCell.none
        if last == QueueCell.none { self[link: head] = cell } else { self[last, .follower] = cell }
        self[link: tail] = cell
    }

    /// Takes `cell` off the beginning of a list.
    func unlinkFirst(_ cell: UInt32, of head: QueueHeader, tail: QueueHeader) throws(Failure) {
        let follower = self[cell, .follower]
        guard follower < cellCount || follower == QueueCell.none else { throw damage("the order of messages") }
        self[link: head] = follower
        if follower == QueueCell.none { self[link: tail] = QueueCell.none }
    }

    /// Puts a message back to where its number belongs, which is the front: what is behind was sent later. Only others
    /// that have come back can be before it.
    func insertReady(_ cell: UInt32) throws(Failure) {
        let state = self[state: cell]
        var previous = QueueCell.none
        var next = self[link: .readyHead]
        var steps: UInt32 = 0
        while next != QueueCell.none {
            guard next < cellCount, steps < cellCount else { throw damage("the order of messages") }
            if state.isBefore(self[state: next]) { break }
            previous = next
            next = self[next, .follower]
            steps &+= 1
        }
        self[cell, .follower] = next
        if previous == QueueCell.none { self[link: .readyHead] = cell } else { self[previous, .follower] = cell }
        if next == QueueCell.none { self[link: .readyTail] = cell }
        self[.readyCount] &+= 1
    }

    /// Frees the cells of a message whose state word already says that it is not a message any more.
    func freeCells(of head: UInt32, length: Int) throws(Failure) {
        let count = Self.cells(for: length)
        var last = head
        for _ in 1..<max(count, 1) {
            last = self[last, .next]
            guard last < cellCount else { throw damage("a message's cells") }
        }
        self[last, .next] = self[link: .freeHead]
        self[link: .freeHead] = head
        self[.freeCount] &+= UInt64(count)
    }
}
