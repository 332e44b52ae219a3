// Wake-ups that must not be lost, descriptors that are not there.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// So many round trips with random tiny delays, each end now asleep, now not.
func pingPongScenario(_ arguments: [String]) throws {
    let count = arguments.number(0, default: 20_000)
    let channel = try Channel<Int>(name: "c")
    @Sendable func dawdle() {
        for _ in 0..<Int.random(in: 0..<3_000) { _ = getppid }
    }
    let pid = try loopChild {
        for _ in 0..<count {
            let number = try await channel.receive()
            if number % 3 == 0 { dawdle() }
            try await channel.send(number)
        }
    }
    onLoop {
        for number in 0..<count {
            try await channel.send(number)
            if number % 5 == 0 { dawdle() }
            require(try await channel.receive() == number, "order")
        }
    }
    join(pid)
    say("done")
}

/// A small ring, so that both sides sleep and wake all the time.
func streamScenario(_ arguments: [String]) throws {
    let count = arguments.number(0, default: 200_000)
    var options = ChannelOptions()
    options.ringBytes = 4096
    let channel = try Channel<Int>(name: "c", options)
    let pid = try loopChild {
        async let sent: Void = { for number in 0..<count { try await channel.send(number) } }()
        for number in 0..<count { require(try await channel.receive() == number, "order") }
        try await sent
    }
    onLoop {
        async let sent: Void = { for number in 0..<count { try await channel.send(number) } }()
        for number in 0..<count { require(try await channel.receive() == number, "order") }
        try await sent
    }
    join(pid)
    say("done")
}

/// No descriptor left: errors that say so, and nothing is lost.
func descriptorsScenario(_ arguments: [String]) throws {
    let channel = try Channel<[UInt8]>(name: "c")
    let far = channel.opposite
    onLoop {
        try await channel.send([UInt8](repeating: 7, count: 100_000))
        try await channel.send([1], passing: [0])
        var taken: [Int32] = []
        while case let number = dup(0), number >= 0 { taken.append(number) }
        say("large send: \(await code { try await channel.send([UInt8](repeating: 7, count: 100_000)) })")
        say("large receive: \(await code { _ = try await far.receive() })")
        say("new: \(await code { _ = try Channel<Int>(name: "d") })")
        close(taken.removeLast())
        require(try await far.receive().count == 100_000, "the large one stays")
        taken.append(dup(0))
        say("passed: \(await code { _ = try await far.receivePassed() })")
        close(taken.removeLast())
        require(try await far.receivePassed().descriptors.count == 1, "the passed one stays")
    }
    say("done")
}
