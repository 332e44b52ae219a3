// Processes that are killed at any instant.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// A message that shows whether it is whole: generation, number, and a length and bytes that follow from them.
private func message(_ life: Int, _ number: Int) -> [UInt8] {
    // Every 64th is too large for the ring and travels beside it.
    let count = number % 64 == 63 ? 70_000 + number % 1000 : number * 7 % 300
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number &* 31 &+ life), count: 16 + count)
    for byte in 0..<8 {
        bytes[byte] = UInt8(truncatingIfNeeded: life >> (8 * byte))
        bytes[8 + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
    }
    return bytes
}

private func read(_ bytes: [UInt8]) -> (life: Int, number: Int) {
    require(bytes.count >= 16, "\(bytes.count) bytes")
    var life = 0
    var number = 0
    for byte in 0..<8 {
        life |= Int(bytes[byte]) << (8 * byte)
        number |= Int(bytes[8 + byte]) << (8 * byte)
    }
    require(bytes == message(life, number), "a torn message of life \(life), number \(number)")
    return (life, number)
}

/// The sender is killed at random instants. Each of its lives sends its numbers from 0. The receiver sees a gapless
/// beginning of each life, whole messages, and each death once, between the lives.
func killedSenderScenario(_ arguments: [String]) throws {
    let channel = try Channel<[UInt8]>(name: "storm")
    var received = 0
    for life in 1...arguments.number(0, default: 60) {
        let sender = try loopChild {
            var number = 0
            while true {
                try await channel.send(message(life, number))
                number += 1
            }
        }
        let counter = Counter()
        onLoop {
            while counter.value < 50 { counter.take(try await channel.receive(), life) }
        }
        usleep(UInt32.random(in: 0..<3_000))
        kill(sender, SIGKILL)
        onLoop {
            while true {
                do {
                    counter.take(try await channel.receive(), life)
                } catch let error as ChannelError {
                    require(error.code == .peerDied(generation: UInt64(life)), "\(error)")
                    break
                }
            }
            require(try channel.tryReceive() == nil, "something after the death")
            let again = await code { _ = try await channel.receive(timeout: .milliseconds(1)) }
            require(again == "timedOut", "the death was told twice: \(again)")
        }
        received += counter.value
        killAndReap(sender)
    }
    say("received \(received > 0)")
}

// Proof: used by one loop after another, on one thread.
private final class Counter: @unchecked Sendable {
    var value = 0

    func take(_ bytes: [UInt8], _ life: Int) {
        let (sender, number) = read(bytes)
        require(sender == life && number == value, "life \(sender), number \(number), not \(life), \(value)")
        value += 1
    }
}

/// The receiver is killed at random instants and replaced, while the sender keeps sending. No message comes twice. With
/// `keep` each death loses at most one message, with `drop` any number.
func killedReceiverScenario(_ arguments: [String]) throws {
    let drops = arguments.dropFirst().first == "drop"
    var options = ChannelOptions()
    options.undelivered = drops ? .drop : .keep
    let channel = try Channel<[UInt8]>(name: "storm", options)
    let words = try SharedWords()
    let lives = arguments.number(0, default: 40)
    let sender = try loopChild {
        var number = 0
        while words[3] == 0 {
            if try channel.trySendHere(message(0, number)) {
                number += 1
            } else {
                try await EventLoop.sleep(for: .zero)
            }
        }
        channel.opposite.close()
    }
    for life in 1...lives {
        let receiver = try receiverLife(channel, words, drops: drops)
        let before = words[0]
        while words[0] < before + 20 { usleep(50) }
        usleep(UInt32.random(in: 0..<2_000))
        if life < lives {
            killAndReap(receiver)
            // The word is written after the message was taken: one may be lost in between.
            words[1] = words[2]
        } else {
            words[3] = 1
            join(receiver)
        }
    }
    join(sender)
    say("received \(words[0] > 0)")
}

extension Channel {
    /// The sender of this scenario is a child, too, and sends from the creator's end.
    fileprivate func trySendHere(_ message: Message) throws -> Bool {
        try opposite.trySend(message)
    }
}

private func receiverLife(_ channel: Channel<[UInt8]>, _ words: SharedWords, drops: Bool) throws -> Int32 {
    try loopChild {
        var isFirst = true
        for try await bytes in channel.messages {
            let number = read(bytes).number
            let last = words[2]
            require(number >= last, "number \(number) again, after \(last - 1)")
            let lost = number - last
            require(lost == 0 || isFirst && (drops || lost == 1), "lost \(lost) before \(number)")
            isFirst = false
            words[2] = number + 1
            words[0] += 1
        }
    }
}
