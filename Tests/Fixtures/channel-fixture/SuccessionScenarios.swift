// Processes of one slot that take an end over from each other.

import Prefork
import PreforkChannels
import PreforkFixtureSupport
import PreforkSystem

/// Words that the processes of a scenario share.
private enum Word {
    /// From here on: the order for each spawn. 1 makes room, 2 gives the slot up.
    static let orders = 0
    static let handled = 10
    static let wrong = 11
    static let inHand = 12
    static let overlaps = 13
    static let waits = 14
    static let isOver = 15
    static let successor = 16
}

/// Forks a process of the slot `identity`, as a supervisor does.
///
/// - Parameter atEnd: called when the process has nothing left to do.
private func slotChild(
    _ spawn: Int, identity: UInt64 = 7, _ words: SharedWords, atEnd: () -> Void = {},
    _ body: @escaping @Sendable () async throws -> Void
) throws -> Int32 {
    try child {
        ProcessSlot.enter(
            ProcessSlot(identity: identity, spawn: UInt64(spawn)) {
                [.stay, .makeRoom, .giveUp][words[Word.orders + spawn]]
            })
        try EventLoop().run {
            try await body()
            await ChannelSuccession.finishCallbacks()
        }
        ChannelSuccession.processEnds()
        atEnd()
    }
}

/// Waits for the order to leave, as the loop of a worker hears of it.
private func leave(_ spawn: Int, _ words: SharedWords) async throws {
    while words[Word.orders + spawn] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
    if let loop = EventLoop.current { ChannelSuccession.processLeaves(on: loop) }
}

private func wait(_ word: Int, _ words: SharedWords, for value: Int = 1) async throws {
    while words[word] < value { try await EventLoop.sleep(for: .milliseconds(1)) }
}

/// Takes numbers in order and counts the others. No two handlers run at once in any process.
private func countNumbers(_ channel: Channel<Int>, _ words: SharedWords) throws {
    try channel.onReceive { number in
        if words.next(Word.inHand) != 1 { _ = words.next(Word.overlaps) }
        if words[Word.handled] != number { _ = words.next(Word.wrong) }
        if number % 50 == 0 { try await EventLoop.sleep(for: .milliseconds(2)) }
        words[Word.inHand] -= 1
        words[Word.handled] = number + 1
    }
}

/// Ten processes, one after the other, each new one there before the old one leaves: every message is handled once, in
/// order, by one process at a time, and the other end hears of nothing but successions.
func successionScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    let count = 40_000
    func process(_ spawn: Int) throws -> Int32 {
        try slotChild(spawn, words) {
            try countNumbers(channel, words)
            words[Word.successor] = spawn
            try await leave(spawn, words)
        }
    }
    let pids = try (1...9).map { spawn in
        try child {
            // Forked by and by, by a process that does nothing else: the parent has a loop.
            until { words[Word.waits] >= spawn }
            let pid = try process(spawn)
            join(pid)
        }
    }
    onLoop {
        let sender = Task {
            for number in 0..<count {
                try await channel.send(number)
                if number % 100 == 0 { try await EventLoop.sleep(for: .microseconds(200)) }
            }
        }
        try channel.onPeer { event in
            switch event {
            case .attached, .succeeded: break
            default: if words[Word.isOver] == 0 { say("event: \(event)") }
            }
        }
        for spawn in 1...9 {
            words[Word.waits] = spawn
            try await wait(Word.successor, words, for: spawn)
            try await EventLoop.sleep(for: .milliseconds(20))
            if spawn > 1 { words[Word.orders + spawn - 1] = 1 }
        }
        try await sender.value
        try await wait(Word.handled, words, for: count)
        words[Word.isOver] = 1
        words[Word.orders + 9] = 1
    }
    for pid in pids { join(pid) }
    say("handled \(words[Word.handled]), wrong \(words[Word.wrong]), overlaps \(words[Word.overlaps])")
}

/// Calls go on over a succession: those that the predecessor has taken it answers itself, and the successor the rest.
func successionCallsScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    func process(_ spawn: Int) throws -> Int32 {
        try slotChild(spawn, words) {
            try channel.onCall { number in
                // One is in hand when the order comes.
                if number == 500 {
                    words[Word.waits] = 1
                    try await EventLoop.sleep(for: .milliseconds(100))
                }
                return number * 10 + spawn
            }
            words[Word.successor] = spawn
            try await leave(spawn, words)
        }
    }
    let first = try process(1)
    let second = try child {
        until { words[Word.successor] == 1 }
        join(try process(2))
    }
    onLoop {
        try await wait(Word.successor, words, for: 2)
        let ordering = Task {
            try await wait(Word.waits, words)
            words[Word.orders + 1] = 1
        }
        var answers = [0, 0, 0]
        await withTaskGroup(of: (Int, String).self) { group in
            for number in 0..<1_000 {
                group.addTask {
                    do {
                        let answer = try await channel.call(number, timeout: .seconds(60))
                        return (answer / 10 == number ? answer % 10 : 0, "")
                    } catch {
                        return (0, "\(error)")
                    }
                }
            }
            for await (spawn, error) in group {
                answers[spawn] += 1
                if !error.isEmpty { say(error) }
            }
        }
        try await ordering.value
        say("wrong \(answers[0]), both \(answers[1] > 0 && answers[2] > 0)")
        words[Word.orders + 2] = 2
        // The slot is given up: the end is closed.
        say("then \(await code { _ = try await channel.receive() })")
    }
    join(first)
    join(second)
}

/// What a predecessor still has to send when it has left its end goes out.
func successionLateSendScenario(_ arguments: [String]) throws {
    let channel = try Channel<String>(name: "c")
    let words = try SharedWords()
    let first = try slotChild(1, words) {
        try await channel.send("first")
        words[Word.successor] = 1
        try await leave(1, words)
        try await wait(Word.waits, words)
        say("receives: \(await code { _ = try await channel.receive(timeout: .seconds(60)) })")
        say("sends: \(await code { try await channel.send("late", timeout: .seconds(60)) })")
        let answer = try await channel.call("call", timeout: .seconds(60))
        say("is answered: \(answer)")
        words[Word.isOver] = 1
    }
    let second = try slotChild(2, words) {
        try await wait(Word.successor, words)
        let receiving = Task { try await channel.receive() }
        try await channel.send("second")
        words[Word.waits] = 1
        say("successor receives: \(try await receiving.value)")
    }
    let other = try slotChild(1, identity: 8, words) {
        try await wait(Word.successor, words)
        let error = await code { try await channel.send("other") }
        words[Word.wrong] = error.hasPrefix("endInUse") ? 1 : 0
        words[Word.orders + 1] = 1
    }
    onLoop {
        // In active mode, whose order is that of the sends.
        say(try await channel.receive())
        say(try await channel.receive())
        say(try await channel.receive())
        let call = try await channel.receiveCall()
        try await call.reply("\(call.message) heard")
        try await wait(Word.isOver, words)
        try await channel.send("hello")
    }
    for pid in [first, second, other] { join(pid) }
    say("another slot is refused: \(words[Word.wrong] == 1)")
}

/// A predecessor that does not let go keeps its successor waiting, and when it is killed its calls fail.
func successionKillScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    let first = try slotChild(1, words) {
        try channel.onCall { _ in
            words[Word.inHand] = 1
            try await EventLoop.sleep(for: .seconds(1_000))
            return 0
        }
        words[Word.successor] = 1
        try await leave(1, words)
        try await EventLoop.sleep(for: .seconds(1_000))
    }
    let second = try slotChild(2, words) {
        try await wait(Word.successor, words)
        try channel.onCall { $0 + 1 }
        words[Word.waits] = 1
        try await wait(Word.isOver, words)
    }
    onLoop {
        try await wait(Word.waits, words)
        async let held = code { _ = try await channel.call(1, timeout: .seconds(60)) }
        try await wait(Word.inHand, words)
        words[Word.orders + 1] = 1
        try await EventLoop.sleep(for: .milliseconds(50))
        kill(first, SIGKILL)
        say("held: \(await held)")
        say("next: \(try await channel.call(2, timeout: .seconds(60)))")
        words[Word.isOver] = 1
    }
    killAndReap(first)
    join(second)
}

/// A process that ends while it waits for its predecessor is passed over, also while it is there.
func successionPassedOverScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    let first = try slotChild(1, words) {
        try channel.onCall { number in
            if number == 1 {
                words[Word.inHand] = 1
                try await wait(Word.handled, words)
            }
            return number * 10 + 1
        }
        words[Word.successor] = 1
        try await leave(1, words)
    }
    let second = try slotChild(
        2, words,
        atEnd: {
            words[Word.waits] = 1
            until { words[Word.isOver] == 1 }
        }
    ) {
        try await wait(Word.successor, words)
        try channel.onCall { $0 * 10 + 2 }
        words[Word.successor] = 2
        try await leave(2, words)
    }
    let third = try slotChild(3, words) {
        try await wait(Word.waits, words)
        try channel.onCall { $0 * 10 + 3 }
        words[Word.successor] = 3
        try await wait(Word.isOver, words)
    }
    onLoop {
        try await wait(Word.successor, words, for: 2)
        async let held = channel.call(1, timeout: .seconds(60))
        try await wait(Word.inHand, words)
        let waiting = Task { try await channel.call(2, timeout: .seconds(20)) }
        words[Word.orders + 1] = 1
        words[Word.orders + 2] = 1
        try await wait(Word.successor, words, for: 3)
        words[Word.handled] = 1
        say("held \(try await held)")
        say("waiting \(await code { say("answer \(try await waiting.value)") })")
        words[Word.isOver] = 1
    }
    for pid in [first, second, third] { join(pid) }
}

/// A predecessor that ends in order before its successor comes: the other end waits, and hears of no death.
func successionGapScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    words[Word.orders + 1] = 1
    join(
        try slotChild(1, words) {
            words[Word.handled] = try await channel.receive(timeout: .seconds(60))
        }.after {
            try? channel.trySend(1)
        })
    let second = try slotChild(2, words) {
        try await wait(Word.waits, words)
        _ = try await channel.receive(timeout: .seconds(60))
        let call = try await channel.receiveCall(timeout: .seconds(60))
        try await call.reply(call.message + 1)
        try await channel.send(7)
        try await wait(Word.isOver, words)
    }
    onLoop {
        try await channel.send(2)
        async let answer = channel.call(3, timeout: .seconds(60))
        async let message = channel.receive(timeout: .seconds(60))
        try await EventLoop.sleep(for: .milliseconds(50))
        words[Word.waits] = 1
        say("answer \(try await answer), message \(try await message)")
        words[Word.isOver] = 1
    }
    join(second)
}

extension Int32 {
    /// Does something in the parent, once the child is forked.
    fileprivate func after(_ body: () -> Void) -> Int32 {
        body()
        return self
    }
}
