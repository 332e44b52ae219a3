// Many messages, and many kills.

import Prefork
import PreforkChannels
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem

/// `ping-pong COUNT WAY`: one message to and fro. A lost wake-up would leave both asleep.
func pingPongScenario(_ arguments: [String]) throws {
    let count = Int(arguments[0])!
    let isAsync = arguments[1] == "async"
    let there = try WorkQueue<Int>(name: "there", WorkQueueOptions(redelivery: .unacknowledged()))
    let back = try WorkQueue<Int>(name: "back", WorkQueueOptions(redelivery: .unacknowledged()))
    let echo: @Sendable () async throws -> Void = {
        for _ in 0..<count {
            let delivery = try await there.receive()
            try await back.send(delivery.message)
            try delivery.acknowledge()
        }
    }
    let other = try child {
        if isAsync { return try EventLoop().run(echo) }
        for _ in 0..<count {
            let delivery = try there.receiveBlocking()
            try back.sendBlocking(delivery.message)
            try delivery.acknowledge()
        }
    }
    let start = ContinuousClock.now
    let call: @Sendable () async throws -> Int = {
        var sum = 0
        for number in 0..<count {
            try await there.send(number)
            let delivery = try await back.receive()
            sum += delivery.message
            try delivery.acknowledge()
        }
        return sum
    }
    var sum = 0
    if isAsync {
        sum = try EventLoop().run(call)
    } else {
        for number in 0..<count {
            try there.sendBlocking(number)
            let delivery = try back.receiveBlocking()
            sum += delivery.message
            try delivery.acknowledge()
        }
    }
    let time = ContinuousClock.now - start
    waitForEnd(other)
    say("sum \(sum == count * (count - 1) / 2)")
    say("round trip \(time / count)")
}

/// `throughput COUNT none|again SENDERS RECEIVERS`: 64-byte messages.
func throughputScenario(_ arguments: [String]) throws {
    let count = Int(arguments[0])!
    let redelivery: WorkQueueOptions.Redelivery = arguments[1] == "none" ? .none : .unacknowledged()
    let senders = Int(arguments[2])!
    let receivers = Int(arguments[3])!
    let queue = try WorkQueue<[UInt8]>(name: "throughput", WorkQueueOptions(redelivery: redelivery))
    let start = ContinuousClock.now
    let sending = try (0..<senders).map { _ in
        try child {
            let message = [UInt8](repeating: 1, count: 64)
            try EventLoop().run { for _ in 0..<count / senders { try await queue.send(message) } }
        }
    }
    let receiving = try (0..<receivers).map { _ in
        try child {
            try EventLoop().run {
                for try await delivery in queue.deliveries { try delivery.acknowledge() }
            }
        }
    }
    for pid in sending { waitForEnd(pid) }
    try queue.close()
    for pid in receiving { waitForEnd(pid) }
    let time = ContinuousClock.now - start
    say("\(Double(queue.stats.delivered) / (time / .seconds(1)) / 1e6) M messages/s")
}

/// `storm KILLS SEED`: two senders and three receivers, of whom one is killed at a random moment, again and again.
///
/// A sender notes a number before it sends it and when it is sent, a receiver when it has it. Nothing that was sent may
/// be missing, and no message may be other than it was sent.
func stormScenario(_ arguments: [String]) throws {
    let kills = Int(arguments[0])!
    var random = SplitMix64(seed: UInt64(arguments[1])!)
    // So many attempts that only a message with uncommon bad luck dies. Dead letters count as received.
    let queue = try WorkQueue<[UInt8]>(
        name: "storm", WorkQueueOptions(capacity: 256 * 1024, redelivery: .unacknowledged(attempts: 30)))
    let ledger = try StormLedger(senders: 2)
    var workers = try (0..<5).map { try stormWorker($0, queue, ledger) }
    for number in 0..<kills {
        usleep(UInt32(200 + random.next() % 2_500))
        let victim = Int(random.next() % UInt64(workers.count))
        killAndReap(workers[victim])
        workers[victim] = try stormWorker(victim, queue, ledger)
        if number % 50 == 49 { try expectProgress(queue) }
    }
    for sender in 0..<2 { killAndReap(workers[sender]) }
    // The receivers go on until nothing is left, and end by themselves.
    try queue.close()
    for receiver in 2..<5 where waitForEnd(workers[receiver]) != 0 { say("a receiver has failed") }
    try queue.reclaim()
    for letter in try queue.takeDeadLetters() { ledger.receive(letter.message ?? []) }
    let stats = queue.stats
    say("kills \(kills) sent \(stats.sent) delivered \(stats.delivered) redelivered \(stats.redelivered)")
    say("recoveries \(stats.recoveries)")
    say("lost \(ledger.lost) torn \(ledger.torn)")
    say("ready \(stats.ready) in flight \(stats.inFlight) leaked \(stats.capacity - stats.free)")
}

/// `quiet KILLS SEED`: receivers sleep between messages, and each message may be its sender's last. One that is in the
/// queue must not lie there beside sleepers.
func quietScenario(_ arguments: [String]) throws {
    var random = SplitMix64(seed: UInt64(arguments[1])!)
    let queue = try WorkQueue<Int>(name: "quiet", WorkQueueOptions(redelivery: .unacknowledged(attempts: 30)))
    let receivers = try (0..<2).map { number in
        try child {
            if number == 0 {
                try EventLoop().run { for try await delivery in queue.deliveries { try delivery.acknowledge() } }
            } else {
                while true { try queue.receiveBlocking().acknowledge() }
            }
        }
    }
    var left = 0
    for _ in 0..<Int(arguments[0])! {
        let sender = try child {
            while true {
                try queue.sendBlocking(1)
                usleep(30)
            }
        }
        usleep(UInt32(100 + random.next() % 1_000))
        killAndReap(sender)
        until { queue.count == 0 && queue.inFlight == 0 && receivers.allSatisfy { state(of: $0) == "S" } }
        // A message that its sender had not sent to the end is in the queue only after the next caller has repaired it.
        // A sleeper does so at its next check.
        let recoveries = queue.stats.recoveries
        if try queue.tryReceive() != nil, queue.stats.recoveries == recoveries { left += 1 }
    }
    for receiver in receivers { killAndReap(receiver) }
    say("recoveries \(queue.stats.recoveries)")
    say("left beside sleepers \(left)")
}

private func expectProgress(_ queue: WorkQueue<[UInt8]>) throws {
    let before = queue.stats.delivered
    until { queue.stats.delivered > before }
}

private func stormWorker(_ number: Int, _ queue: WorkQueue<[UInt8]>, _ ledger: StormLedger) throws -> Int32 {
    try child {
        if number < 2 {
            var random = SplitMix64(seed: UInt64(getpid()))
            while true {
                let message = ledger.makeMessage(of: number, &random)
                try queue.sendBlocking(message)
                ledger.noteSent(message)
            }
        }
        let take: @Sendable (Delivery<[UInt8]>) throws -> Void = { delivery in
            ledger.receive(delivery.message)
            try delivery.acknowledge()
        }
        if number == 2 {
            try EventLoop().run { for try await delivery in queue.deliveries { try take(delivery) } }
        } else {
            do {
                while true { try take(try queue.receiveBlocking()) }
            } catch let error as WorkQueueError where error.code == .closed {}
        }
    }
}

/// What was sent and what was received, in memory that outlives the processes.
struct StormLedger: @unchecked Sendable {
    // Sendable: one writer for each byte, or a flag that is only ever set.
    private static let room = 4 << 20
    private let senders: Int
    private let base: UnsafeMutableRawPointer

    init(senders: Int) throws {
        self.senders = senders
        base = try sharedBytes(4096 + senders * 2 * Self.room)
    }

    private func next(_ sender: Int) -> UnsafeMutablePointer<UInt64> {
        (base + sender * 64).assumingMemoryBound(to: UInt64.self)
    }
    private var tornCount: UnsafeMutablePointer<UInt64> { (base + 2048).assumingMemoryBound(to: UInt64.self) }
    private func flag(_ sender: Int, _ number: Int, _ kind: Int) -> UnsafeMutablePointer<UInt8> {
        (base + 4096 + (sender * 2 + kind) * Self.room + number).assumingMemoryBound(to: UInt8.self)
    }

    /// 16 to 3,000 bytes: sum, sender, number and noise.
    func makeMessage(of sender: Int, _ random: inout SplitMix64) -> [UInt8] {
        let number = Int(next(sender).pointee)
        next(sender).pointee += 1
        guard number < Self.room else { while true { pause() } }
        let size = random.next() % 8 == 0 ? 16 + Int(random.next() % 3_000) : 16 + Int(random.next() % 200)
        var message = [UInt8](repeating: 0, count: size)
        withUnsafeBytes(of: UInt64(sender) << 32 | UInt64(number)) { message.replaceSubrange(8..<16, with: $0) }
        for index in 16..<max(16, size) { message[index] = UInt8(truncatingIfNeeded: random.next()) }
        withUnsafeBytes(of: Self.sum(message)) { message.replaceSubrange(0..<8, with: $0) }
        return message
    }

    func noteSent(_ message: [UInt8]) {
        let id = message.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        flag(Int(id >> 32), Int(id & 0xFFFF_FFFF), 0).pointee = 1
    }

    func receive(_ message: [UInt8]) {
        let isWhole = message.count >= 16
            && message.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } == Self.sum(message)
        guard isWhole else {
            tornCount.pointee += 1
            return
        }
        let id = message.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        flag(Int(id >> 32), Int(id & 0xFFFF_FFFF), 1).pointee = 1
    }

    var torn: UInt64 { tornCount.pointee }

    var lost: Int {
        (0..<senders).reduce(0) { count, sender in
            let used = min(Int(next(sender).pointee), Self.room)
            return count + (0..<used).count { flag(sender, $0, 0).pointee == 1 && flag(sender, $0, 1).pointee == 0 }
        }
    }

    private static func sum(_ message: [UInt8]) -> UInt64 {
        message.dropFirst(8).reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    }
}
