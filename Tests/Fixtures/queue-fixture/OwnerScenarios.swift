// Receivers that are killed, stopped or forked while they have a message.

import Prefork
import PreforkChannels
import PreforkFixtureSupport

/// `spread COUNT`: four processes receive COUNT numbers from one sender, two by loops and two by threads.
func spreadScenario(_ arguments: [String]) throws {
    let count = Int(arguments[0])!
    let queue = try WorkQueue<Int>(name: "spread", WorkQueueOptions(redelivery: .unacknowledged()))
    let workers = try (0..<4).map { number in
        try child {
            var seen: [Int] = []
            if number % 2 == 0 {
                seen = try EventLoop().run {
                    var seen: [Int] = []
                    for try await delivery in queue.deliveries {
                        seen.append(delivery.message)
                        try delivery.acknowledge()
                    }
                    return seen
                }
            } else {
                do {
                    while true {
                        let delivery = try queue.receiveBlocking()
                        seen.append(delivery.message)
                        try delivery.acknowledge()
                    }
                } catch let error as WorkQueueError where error.code == .closed {}
            }
            say("worker " + seen.map { "\($0)" }.joined(separator: " "))
        }
    }
    for number in 0..<count { try queue.sendBlocking(number) }
    try queue.close()
    for worker in workers { waitForEnd(worker) }
    say("left \(queue.count) in flight \(queue.inFlight) free \(queue.stats.free == queue.stats.capacity)")
}

/// `killed-owner WAY none|again`: the owner of a message is killed while another process waits.
func killedOwnerScenario(_ arguments: [String]) throws {
    let redelivery: WorkQueueOptions.Redelivery = arguments[1] == "none" ? .none : .unacknowledged()
    let queue = try WorkQueue<String>(name: "killed", WorkQueueOptions(redelivery: redelivery))
    let words = try SharedWords()
    try queue.sendBlocking("first")
    let owner = try child {
        let delivery = try queue.receiveBlocking()
        say("owner has \(delivery.message)")
        words[0] = 1
        while true { pause() }
    }
    until { words[0] == 1 }
    let waiter = try child {
        let delivery = try receive(queue, arguments[0])
        say("waiter has \(delivery.message), attempt \(delivery.attempt)")
        try delivery.acknowledge()
    }
    until { state(of: waiter) == "S" && queue.count == 0 }
    killAndReap(owner)
    if redelivery == .none { try queue.sendBlocking("second") }
    say("waiter ends with \(waitForEnd(waiter))")
    say("in flight \(queue.inFlight), redelivered \(queue.stats.redelivered)")
}

/// `newcomer WAY`: the owner has begun to receive when the waiter slept already.
func newcomerScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<String>(name: "newcomer", WorkQueueOptions(redelivery: .unacknowledged()))
    let waiter = try child {
        let delivery = try receive(queue, arguments[0])
        say("waiter has \(delivery.message), attempt \(delivery.attempt)")
        try delivery.acknowledge()
    }
    until { state(of: waiter) == "S" }
    stop(waiter)
    try queue.sendBlocking("first")
    let owner = try child {
        let delivery = try queue.receiveBlocking()
        say("owner has \(delivery.message)")
        raise(SIGSTOP)
    }
    until { state(of: owner) == "T" }
    kill(waiter, SIGCONT)
    until { state(of: waiter) == "S" }
    killAndReap(owner)
    say("waiter ends with \(waitForEnd(waiter))")
}

/// A stopped receiver keeps what it has.
func stoppedOwnerScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<String>(name: "stopped", WorkQueueOptions(redelivery: .unacknowledged()))
    try queue.sendBlocking("first")
    let owner = try child {
        let delivery = try queue.receiveBlocking()
        raise(SIGSTOP)
        try delivery.acknowledge()
    }
    until { state(of: owner) == "T" }
    say("reclaimed \(try queue.reclaim()), in flight \(queue.inFlight)")
    say("nothing: \(try queue.tryReceive() == nil)")
    try queue.sendBlocking("second")
    let delivery = try queue.receiveBlocking()
    say("got \(delivery.message)")
    try delivery.acknowledge()
    kill(owner, SIGCONT)
    waitForEnd(owner)
    say("in flight \(queue.inFlight), acknowledged \(queue.stats.acknowledged)")
}

/// A message that kills every receiver of it.
func poisonScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<String>(name: "poison", WorkQueueOptions(redelivery: .unacknowledged(attempts: 3)))
    try queue.sendBlocking("poison")
    try queue.sendBlocking("food")
    var ends: [Int32] = []
    repeat {
        ends.append(
            waitForEnd(
                try child {
                    try EventLoop().run {
                        try await queue.onReceive { message in
                            if message == "poison" { raise(SIGKILL) }
                            try queue.close()
                        }
                    }
                }))
    } while ends.last != 0
    say("ends \(ends)")
    let letters = try queue.takeDeadLetters()
    say("dead letters \(letters.map { "\($0.message ?? "?") after \($0.attempts)" }), counted \(queue.stats.dead)")
    say("free \(queue.stats.free == queue.stats.capacity)")
}

/// Stops a sender again and again until it is stopped inside the lock.
func busyScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<Int>(name: "busy")
    let sender = try child { while true { _ = try queue.trySend(1) } }
    while true {
        stop(sender)
        do {
            _ = try queue.trySend(2)
        } catch {
            say("\(error)")
            break
        }
        kill(sender, SIGCONT)
        usleep(100)
    }
    kill(sender, SIGCONT)
    say("again: \(Result { try queue.tryReceive()?.message })")
    killAndReap(sender)
}

/// Without redelivery: receivers are killed while they copy messages that fill the queue, and a sender sleeps.
func lostRoomScenario(_ arguments: [String]) throws {
    let size = 1 << 20
    let queue = try WorkQueue<[UInt8]>(name: "room", WorkQueueOptions(capacity: 4 * size, messageLimit: size))
    let message = [UInt8](repeating: 7, count: size)
    var receivers: [Int32] = []
    while receivers.count < 4 {
        let receiver = try child { while true { _ = try queue.receiveBlocking() } }
        receivers.append(receiver)
        while true {
            while try queue.trySend(message) {}
            stop(receiver)
            // One that is stopped in the lock is no use here.
            if queue.inFlight == receivers.count, (try? queue.reclaim()) == 0 { break }
            kill(receiver, SIGCONT)
        }
    }
    let sender = try child { try queue.sendBlocking(message) }
    until { state(of: sender) == "S" }
    for receiver in receivers { killAndReap(receiver) }
    let successor = try child { say("successor has \(try queue.receiveBlocking().message.count)") }
    say("sender ends with \(waitForEnd(sender)), successor with \(waitForEnd(successor))")
}

/// `full WAY`: a sender waits for room, which a receiver in another process makes.
func fullScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<[UInt8]>(name: "full", WorkQueueOptions(capacity: 4096))
    let message = [UInt8](repeating: 7, count: 1000)
    while try queue.trySend(message) {}
    let count = queue.count
    let sender = try child {
        if arguments[0] == "async" {
            try EventLoop().run { for _ in 0..<100 { try await queue.send(message) } }
        } else {
            for _ in 0..<100 { try queue.sendBlocking(message) }
        }
    }
    until { state(of: sender) == "S" }
    for _ in 0..<(count + 100) {
        guard try queue.receiveBlocking().message == message else { say("torn") ; return }
    }
    say("sender ends with \(waitForEnd(sender)), \(count) before, free \(queue.stats.free == queue.stats.capacity)")
}

/// A child that is forked while its parent has a message does not own it: its end is not the owner's.
func forkedDeliveryScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<String>(name: "forked", WorkQueueOptions(redelivery: .unacknowledged()))
    try queue.sendBlocking("first")
    try queue.sendBlocking("second")
    var delivery: Delivery<String>? = try queue.receiveBlocking()
    let heir = try child {
        delivery = nil
        let own = try queue.receiveBlocking()
        say("heir has \(own.message)")
        raise(SIGKILL)
    }
    waitForEnd(heir)
    say("in flight \(queue.inFlight), reclaimed \(try queue.reclaim()), ready \(queue.count)")
    try delivery?.acknowledge()
    say("in flight \(queue.inFlight)")
}

/// `generations COUNT`: so many processes receive one message each, one after the other. More than there are places.
func generationsScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<Int>(name: "generations", WorkQueueOptions(redelivery: .unacknowledged()))
    for number in 0..<Int(arguments[0])! {
        try queue.sendBlocking(number)
        let worker = try child {
            let delivery = try queue.receiveBlocking()
            if delivery.attempt == 2 || number % 3 > 0 { try delivery.acknowledge() } else { raise(SIGKILL) }
        }
        waitForEnd(worker)
    }
    while let delivery = try queue.tryReceive() { try delivery.acknowledge() }
    say("acknowledged \(queue.stats.acknowledged), free \(queue.stats.free == queue.stats.capacity)")
}

/// A thread that was woken by a death looks again and again while the dead one's successor, in its place, is at work.
func successorAtWorkScenario(_ arguments: [String]) throws {
    let queue = try WorkQueue<String>(name: "successor", WorkQueueOptions(redelivery: .unacknowledged()))
    let words = try SharedWords()
    // This process takes its own place first.
    try queue.sendBlocking("warm")
    try queue.receiveBlocking().acknowledge()
    try queue.sendBlocking("first")
    let owner = try child {
        let delivery = try queue.receiveBlocking()
        let parent = getppid()
        until { words[0] == 1 && state(of: parent) == "S" }
        raise(SIGKILL)
        try delivery.acknowledge()
    }
    until { queue.inFlight == 1 }
    words[0] = 1
    let first = try queue.receiveBlocking()
    say("\(first.message), attempt \(first.attempt)")
    try first.acknowledge()
    waitForEnd(owner)
    try queue.sendBlocking("second")
    let successor = try child {
        let delivery = try queue.receiveBlocking()
        until { words[1] == 1 }
        try delivery.acknowledge()
    }
    until { queue.inFlight == 1 }
    for _ in 0..<4 {
        let delivery = try? queue.receiveBlocking(timeout: .zero)
        say("\(delivery?.message ?? "nothing")")
    }
    words[1] = 1
    say("successor ends with \(waitForEnd(successor)), redelivered \(queue.stats.redelivered)")
}
