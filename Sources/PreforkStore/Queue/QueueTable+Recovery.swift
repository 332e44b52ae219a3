// The lists of a queue, rebuilt from the state words of its messages.

extension QueueTable {
    /// Repairs what the lock's last owner has left behind when it was killed, or what damage has changed. Bounded: a
    /// few steps for each cell and a merge sort. May itself be interrupted by death. The next process begins again.
    func recover(afterDeath: Bool) throws(Failure) {
        self[.isUnsettled] = 1
        // First, as everywhere: the sleepers take the lock next and see the state.
        wakeReceivers()
        wakeSenders()
        if afterDeath { self[.recoveries] &+= 1 }
        try rebuild()
        self[.isUnsettled] = 0
    }

    /// Computes everything that is derived. Reads the state, length and chain of each message and changes none, except
    /// messages that no correct process has written: these are given up and counted.
    func rebuild() throws(Failure) {
        for cell in 0..<cellCount { self[cell, .mark] = 0 }
        for slot in 0..<QueueOwnerWord.slots { self[slot, .inFlight] = 0 }
        var ready = QueueSorter(cellCount: cellCount)
        var dead = QueueSorter(cellCount: cellCount)
        var inFlight: UInt64 = 0
        var deadCells: UInt64 = 0
        for cell in 0..<cellCount {
            var state = self[state: cell]
            if state == .free { continue }
            guard let count = markChain(of: cell) else {
                giveUp(cell)
                continue
            }
            if state.tag == .taken, self[state.owner, .pid] == 0 {
                state = afterReturn(state)
                self[state: cell] = state
            }
            switch state.tag {
            case .ready:
                try ready.add(cell, of: self)
            case .dead:
                try dead.add(cell, of: self)
                deadCells &+= UInt64(count)
            case .taken:
                inFlight &+= 1
                self[state.owner, .inFlight] &+= 1
            case .free where state == .free:
                unmarkChain(of: cell, count: count)
            case .free, nil:
                unmarkChain(of: cell, count: count)
                giveUp(cell)
                continue
            }
            // After the years that 48 bits last, the largest number is not the last one. A killed sender's number is in
            // the header before it is in a message, so this only repairs damage.
            if self[.nextSequence] <= state.sequence, state != .free { self[.nextSequence] = state.sequence &+ 1 }
        }
        self[.inFlight] = inFlight
        (self[link: .readyHead], self[link: .readyTail], self[.readyCount]) = try ready.finish(of: self)
        (self[link: .deadHead], self[link: .deadTail], self[.deadCount]) = try dead.finish(of: self)
        self[.deadCells] = deadCells
        linkFreeCells()
        try dropDeadLetters()
    }

    /// What becomes of a message whose owner is dead.
    func afterReturn(_ state: QueueState) -> QueueState {
        if attempts == 0 { return .free }
        return state.with(state.attempts < attempts ? .ready : .dead)
    }

    private func giveUp(_ cell: UInt32) {
        self[state: cell] = .free
        self[.damages] &+= 1
    }

    /// Marks the cells of the message that begins at `cell`.
    ///
    /// - Returns: how many cells there are. Nil, without a mark, if they cannot be a message.
    private func markChain(of cell: UInt32) -> Int? {
        let length = Int(self[cell, .length])
        guard length <= messageLimit else { return nil }
        let count = Self.cells(for: length)
        var member = cell
        for index in 0..<count {
            guard member < cellCount, self[member, .mark] == 0, index == 0 || self[state: member] == .free else {
                unmarkChain(of: cell, count: index)
                return nil
            }
            self[member, .mark] = 1
            member = self[member, .next]
        }
        return count
    }

    /// Takes the marks of `markChain` back.
    private func unmarkChain(of cell: UInt32, count: Int) {
        var member = cell
        for _ in 0..<count where member < cellCount {
            self[member, .mark] = 0
            member = self[member, .next]
        }
    }

    private func linkFreeCells() {
        var head = QueueCell.none
        var count: UInt64 = 0
        for cell in (0..<cellCount).reversed() where self[cell, .mark] == 0 {
            self[cell, .next] = head
            head = cell
            count &+= 1
        }
        self[link: .freeHead] = head
        self[.freeCount] = count
    }
}

/// Sorts messages by their numbers, linked by their `follower` words: a merge sort that needs no extra memory, with one
/// list of 2^n messages for each n.
struct QueueSorter {
    private var lists = InlineArray<32, UInt32>(repeating: QueueCell.none)
    private var count: UInt64 = 0
    /// Each step moves one message. More steps than a sort needs mean that another process changes the links meanwhile.
    private var steps: UInt64

    init(cellCount: UInt32) {
        steps = UInt64(cellCount) &* 40 &+ 64
    }

    mutating func add(_ cell: UInt32, of table: QueueTable) throws(QueueTable.Failure) {
        table[cell, .follower] = QueueCell.none
        var list = cell
        var level = 0
        while level < 31, lists[level] != QueueCell.none {
            list = try merge(lists[level], list, of: table)
            lists[level] = QueueCell.none
            level += 1
        }
        lists[level] = level < 31 ? list : try merge(lists[level], list, of: table)
        count &+= 1
    }

    mutating func finish(
        of table: QueueTable
    ) throws(QueueTable.Failure) -> (head: UInt32, tail: UInt32, count: UInt64) {
        var head = QueueCell.none
        for level in 0..<32 { head = try merge(lists[level], head, of: table) }
        var tail = head
        var seen: UInt64 = 1
        while tail != QueueCell.none, case let next = table[tail, .follower], next != QueueCell.none {
            guard next < table.cellCount, seen < count else { throw table.damage("the order of messages") }
            tail = next
            seen &+= 1
        }
        return (head, tail, count)
    }

    private mutating func merge(
        _ one: UInt32, _ other: UInt32, of table: QueueTable
    ) throws(QueueTable.Failure) -> UInt32 {
        var a = one
        var b = other
        if a == QueueCell.none { return b }
        if b == QueueCell.none { return a }
        var head = QueueCell.none
        var tail = QueueCell.none
        while true {
            guard a < table.cellCount, b < table.cellCount, steps > 0 else {
                throw table.damage("the order of messages")
            }
            steps &-= 1
            let first: UInt32
            if table[state: b].isBefore(table[state: a]) {
                first = b
                b = table[b, .follower]
            } else {
                first = a
                a = table[a, .follower]
            }
            if tail == QueueCell.none { head = first } else { table[tail, .follower] = first }
            tail = first
            if a == QueueCell.none || b == QueueCell.none {
                table[tail, .follower] = a == QueueCell.none ? b : a
                return head
            }
        }
    }
}
