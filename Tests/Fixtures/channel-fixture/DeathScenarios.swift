// The other end dies, stops, closes or belongs to another process.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Who waits in whatever way learns of the death, and the successor is at the same end.
func deathScenario(_ arguments: [String]) throws {
    var options = ChannelOptions()
    options.ringBytes = 4096
    let channel = try Channel<[UInt8]>(name: "c", options)
    // A receiver, a sender and a caller that wait.
    var pid = try loopChild {
        try await channel.send([1])
        try await EventLoop.sleep(for: .seconds(1_000))
    }
    let first = pid
    onLoop {
        let first = first
        require(try await channel.receive() == [1], "first")
        let receiving = Task { await code { _ = try await channel.receive() } }
        let calling = Task { await code { _ = try await channel.call([1], timeout: .seconds(1_000)) } }
        try await EventLoop.sleep(for: .milliseconds(5))
        kill(first, SIGKILL)
        say("receive: \(await receiving.value)")
        say("call: \(await calling.value)")
        say("second receive: \(await code { _ = try await channel.receive(timeout: .milliseconds(5)) })")
        while try channel.trySend([UInt8](repeating: 2, count: 1000)) {}
        say("send: \(await code { try await channel.send([UInt8](repeating: 2, count: 1000)) })")
        say("second call: \(await code { _ = try await channel.call([1], timeout: .seconds(1_000)) })")
    }
    killAndReap(pid)
    pid = try loopChild {
        var count = 0
        while let message = try channel.tryReceive() { count += message.count == 1000 ? 1 : 0 }
        try await channel.send([UInt8(count)])
    }
    onLoop {
        // The call of the last life was not handed to this one, but the messages were.
        say("kept: \(try await channel.receive()[0] >= 3)")
        say("its death: \(await code { _ = try await channel.receive() })")
    }
    join(pid)
}

/// A call that was made before any process was at the other end, and whose callee dies with it.
func deathOfEarlyCalleeScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    let pid = try loopChild {
        while words[0] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
        _ = try await channel.receiveCall()
        kill(getpid(), SIGKILL)
    }
    onLoop {
        let calling = Task { await code { _ = try await channel.call(1, timeout: .seconds(60)) } }
        try await EventLoop.sleep(for: .milliseconds(5))
        words[0] = 1
        say("call: \(await calling.value)")
    }
    waitForEnd(pid)
}

/// A sender that already waits when the other end dies.
func deathOfReceiverScenario(_ arguments: [String]) throws {
    var options = ChannelOptions()
    options.ringBytes = 4096
    let channel = try Channel<[UInt8]>(name: "c", options)
    let pid = try loopChild {
        _ = try await channel.receive()
        try await EventLoop.sleep(for: .seconds(1_000))
    }
    onLoop {
        try await channel.send([1])
        while !channel.isAttached { try await EventLoop.sleep(for: .milliseconds(1)) }
        let message = [UInt8](repeating: 2, count: 1000)
        let sending = Task { await code { while true { try await channel.send(message) } } }
        try await EventLoop.sleep(for: .milliseconds(20))
        kill(pid, SIGKILL)
        say("send: \(await sending.value)")
    }
    killAndReap(pid)
}

extension Channel {
    fileprivate var isAttached: Bool { peerGeneration != nil }
}

/// Threads without a loop.
func blockingScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    for life in 1...3 {
        let pid = try child {
            for number in 0..<1_000 { try channel.sendBlocking(number) }
            require(try channel.receiveBlocking() == life, "life")
            usleep(5_000)
            kill(getpid(), SIGKILL)
        }
        for number in 0..<1_000 { require(try channel.receiveBlocking() == number, "order") }
        try channel.sendBlocking(life)
        do {
            _ = try channel.receiveBlocking()
        } catch {
            say("\(error)")
        }
        killAndReap(pid)
    }
}

/// A process that is stopped is not dead: the sender's time runs out, and afterwards all goes on.
func stoppedScenario(_ arguments: [String]) throws {
    var options = ChannelOptions()
    options.ringBytes = 4096
    let channel = try Channel<[UInt8]>(name: "c", options)
    let pid = try loopChild { for try await _ in channel.messages {} }
    onLoop {
        try await channel.send([1])
        while channel.peerGeneration == nil { try await EventLoop.sleep(for: .milliseconds(1)) }
        kill(pid, SIGSTOP)
        let message = [UInt8](repeating: 2, count: 1000)
        say("send: \(await code { while true { try await channel.send(message, timeout: .milliseconds(20)) } })")
        say("receive: \(await code { _ = try await channel.receive(timeout: .milliseconds(5)) })")
        kill(pid, SIGCONT)
        for _ in 0..<100 { try await channel.send(message) }
        channel.close()
    }
    join(pid)
    say("went on")
}

/// Everything that was sent before close arrives, and a successor opens the end again.
func closeScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    for life in 1...3 {
        let pid = try loopChild {
            for number in 0..<10_000 { try await channel.send(number) }
            channel.close()
        }
        onLoop {
            // Waits for the successor: before it comes, the last life's end is still to be seen.
            while channel.peerGeneration != UInt64(life) { try await EventLoop.sleep(for: .milliseconds(1)) }
            var count = 0
            for try await number in channel.messages {
                require(number == count, "order")
                count += 1
            }
            say("life \(life): \(count), \(await code { try await channel.send(1) })")
        }
        join(pid)
    }
}

/// A process that has closed its end and lives on, with a loop that has listened, beside its successor.
func closedEndLivesScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    let first = try loopChild {
        _ = try await channel.call(1, timeout: .seconds(60))
        channel.close()
        words[0] = 1
        while words[1] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
    }
    let second = try loopChild {
        while words[0] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
        // More replies than their ring holds at a time.
        for number in 0..<10_000 {
            require(try await channel.call(number, timeout: .seconds(60)) == number + 1, "reply \(number)")
        }
        channel.close()
        words[1] = 1
    }
    onLoop {
        try channel.onCall { $0 + 1 }
        while words[1] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
    }
    join(first)
    join(second)
    say("done")
}

/// Two living processes at one end.
func endInUseScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let first = try loopChild {
        try await channel.send(1)
        try await EventLoop.sleep(for: .seconds(1_000))
    }
    onLoop { _ = try await channel.receive() }
    let second = try loopChild {
        let here = await code { try await channel.send(2) }
        say("second: \(here == "endInUse(pid: \(first))")")
        let opposite = await code { try await channel.opposite.send(2) }
        say("opposite: \(opposite == "endInUse(pid: \(getppid()))")")
    }
    join(second)
    killAndReap(first)
    let third = try loopChild { try await channel.send(3) }
    onLoop {
        say("death: \(await code { _ = try await channel.receive() })")
        say("third: \(try await channel.receive())")
    }
    join(third)
}

/// What `onPeer` and callbacks see of a restart.
func peerEventsScenario(_ arguments: [String]) throws {
    let channel = try Channel<Int>(name: "c")
    let words = try SharedWords()
    var pids: [Int32] = []
    // The second life waits for the first one's end.
    for life in 1...2 {
        pids.append(
            try loopChild {
                while words[0] < life { try await EventLoop.sleep(for: .milliseconds(1)) }
                try await channel.send(life)
                try await EventLoop.sleep(for: .seconds(1_000))
            })
    }
    let children = pids
    onLoop {
        try channel.onPeer { event in
            say("\(event)")
            if case .died(1) = event { words[0] = 2 }
            if case .died(2) = event { words[1] = 1 }
        }
        try channel.onReceive { life in
            say("message \(life)")
            kill(children[life - 1], SIGKILL)
        }
        words[0] = 1
        while words[1] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
    }
    for pid in pids { killAndReap(pid) }
}

/// The example of the original documentation: a managed child with an active and a passive channel.
func deliverScenario(_ arguments: [String]) throws {
    let nonebot = try ChannelDeliver<String>(process: "nonebot")
    let pid = try loopChild {
        nonebot.enter()
        let deliver = try ChannelDeliver<String>.current
        try deliver.passive.onReceive(where: { !$0.isEmpty }) { data in
            say("Passive receive: \(data)")
            try await deliver.passive.send("done")
        }
        for try await data in deliver.active.messages { say("Active receive: \(data)") }
    }
    onLoop {
        let passive = try Channel<String>.named("nonebot-passive")
        try await passive.send("I am the main process passive")
        require(try await passive.receive() == "done", "done")
        let active = try Channel<String>.named("nonebot-active")
        try await active.send("I am the main process active")
        active.close()
    }
    join(pid)
}
