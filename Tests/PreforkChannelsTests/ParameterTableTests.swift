// Every public parameter of PreforkChannels with values that make no sense.

import PreforkChannels
import PreforkEventLoop
import PreforkStore
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkChannels",
            reasons: [
                "ChannelPeerEvent": "what a channel tells",
                "NearCache.Statistics": "what a cache has counted",
                "PublishedEvent": "what a subscription tells",
                "StoreMessage": "what a subscription tells",
            ])
    }

    private static let table: [ParameterRow] =
        names + sizes + channelTimes + queueTimes + backends + nearCaches + texts + familyNames

    // Names and sizes

    private static let names: [ParameterRow] =
        Parameter.text(
            "Channel.init.name", empty: .refused("a channel without a name"), huge: .means("a name like any other"),
            other: .means("a name like any other")
        ) { name in
            let channel = try Channel<Int>(name: name)
            mustHold(try Channel<Int>.named(name).name == name)
            channel.unregister()
        }
        + Parameter.value("Channel.init.name", "10 MiB, twice", .refused("xxx", "exists")) {
            let name = String(repeating: "x", count: 10 << 20) + "twice"
            let channel = try Channel<Int>(name: name)
            defer { channel.unregister() }
            _ = try Channel<Int>(name: name)
        }
        + Parameter.text(
            "Channel.named.name", empty: .refused("no channel"), huge: .refused("no channel"),
            other: .refused("no channel")
        ) { _ = try Channel<Int>.named($0) }
        + Parameter.text(
            "ChannelDeliver.init.process", empty: .refused("a process without a name"),
            huge: .means("a name like any other"),
            other: .means("a name like any other")
        ) { process in
            let pair = try ChannelDeliver<Int>(process: process)
            pair.active.unregister()
            pair.passive.unregister()
        }
        + Parameter.text(
            "ChannelDeliver.facing.process", empty: .refused("no channel"), huge: .refused("no channel"),
            other: .refused("no channel")
        ) { _ = try ChannelDeliver<Int>.facing($0) }
        + Parameter.text(
            "WorkQueue.init.name", empty: .means("a queue whose errors have no name"),
            huge: .means("a name like any other"),
            other: .means("a name like any other")
        ) { name in mustHold(try WorkQueue<Int>(name: name, WorkQueueOptions(capacity: 4096)).name == name) }
        + Parameter.text(
            "WorkQueue.init.name", empty: .refused("work queue"), huge: .refused("work queue", "xxx"),
            other: .refused("work queue")
        ) {
            try WorkQueue<Int>(name: $0, WorkQueueOptions(capacity: 4096)).receiveBlocking(timeout: .zero).acknowledge()
        }

    private static let sizes: [ParameterRow] =
        Parameter.number(
            "ChannelOptions.ringBytes", zero: .refused("ring of 0 bytes"), negative: .refused("ring of -"),
            huge: .refused("ring of \(Int.max) bytes")
        ) { (bytes: Int) in _ = try Channel<Int>.both { $0.ringBytes = bytes } }
        + Parameter.number(
            "ChannelOptions.messageLimit", zero: .refused("message limit of 0"),
            negative: .refused("message limit of -"),
            huge: .refused("message limit of \(Int.max)")
        ) { (bytes: Int) in _ = try Channel<Int>.both { $0.messageLimit = bytes } }
        + Parameter.number(
            "WorkQueueOptions.init.capacity", zero: .refused("capacity of 0 bytes"),
            negative: .refused("capacity of -"),
            huge: .refused("capacity of \(Int.max) bytes")
        ) { (bytes: Int) in _ = try WorkQueue<Int>(name: "queue", WorkQueueOptions(capacity: bytes)) }
        + Parameter.number(
            "WorkQueueOptions.init.messageLimit", zero: .refused("message limit of 0"),
            negative: .refused("message limit of -"),
            huge: .refused("message limit of \(Int.max)")
        ) { (bytes: Int) in _ = try WorkQueue<Int>(name: "queue", WorkQueueOptions(messageLimit: bytes)) }
        + Parameter.number(
            "WorkQueueOptions.Redelivery.unacknowledged.attempts", zero: .refused("0 attempts"),
            negative: .refused("attempts"),
            huge: .refused("\(Int.max) attempts")
        ) { (attempts: Int) in
            _ = try WorkQueue<Int>(name: "queue", WorkQueueOptions(redelivery: .unacknowledged(attempts: attempts)))
        }

    // Times

    /// A channel whose next send must wait.
    private static func fullChannel() throws -> (near: Channel<[UInt8]>, far: Channel<[UInt8]>) {
        let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
        while try near.trySend([UInt8](repeating: 7, count: 900)) {}
        return (near, far)
    }

    /// Rows of a wait: zero and less look once, a huge one is as long as it takes.
    private static func waits(
        _ parameter: String, _ error: String, _ wait: @escaping @Sendable (Duration) async throws -> Void
    ) -> [ParameterRow] {
        Parameter.duration(
            parameter, zero: .refused(error), negative: .refused(error), huge: .means("as long as it takes"), wait)
    }

    private static let late = "not within the given time"

    private static let channelTimes: [ParameterRow] =
        waits("Channel.receive.timeout", late) { timeout in
            let (near, far) = try Channel<Int>.both()
            if timeout > .zero { try await near.send(1) }
            mustHold(try await far.receive(timeout: timeout) == 1)
        }
        + waits("Channel.receive.timeout", late) { timeout in
            let (near, far) = try Channel<Int>.both()
            async let message = far.receive(timeout: timeout)
            // One without time must not find a message, however late it begins.
            if timeout > .zero {
                try await EventLoop.sleep(for: .milliseconds(5))
                try await near.send(1)
            }
            mustHold(try await message == 1)
        }
        + waits("Channel.receiveBlocking.timeout", late) { timeout in
            let (near, far) = try Channel<Int>.both()
            if timeout > .zero { try await near.send(1) }
            mustHold(try far.receiveBlocking(timeout: timeout) == 1)
        }
        + waits("Channel.receivePassed.timeout", late) { timeout in
            let (near, far) = try Channel<Int>.both()
            if timeout > .zero { try await near.send(1) }
            mustHold(try await far.receivePassed(timeout: timeout).message == 1)
        }
        + waits("Channel.receiveCall.timeout", late) { timeout in
            let (near, far) = try Channel<Int>.both()
            if timeout <= .zero { return _ = try await far.receiveCall(timeout: timeout) }
            async let answer = near.call(1, timeout: timeout)
            try await far.receiveCall(timeout: timeout).reply(2)
            mustHold(try await answer == 2)
        }
        + waits("Channel.call.timeout", late) { timeout in
            let (near, far) = try Channel<Int>.both()
            if timeout <= .zero { return _ = try await near.call(1, timeout: timeout) }
            async let answer = near.call(1, timeout: timeout)
            try await far.receiveCall().reply(2)
            mustHold(try await answer == 2)
        }
        + waits("Channel.send.timeout", late) { timeout in
            let (near, far) = try fullChannel()
            if timeout > .zero { while try far.tryReceive() != nil {} }
            try await near.send([UInt8](repeating: 7, count: 900), timeout: timeout)
        }
        + waits("Channel.sendBlocking.timeout", late) { timeout in
            let (near, far) = try fullChannel()
            if timeout > .zero { while try far.tryReceive() != nil {} }
            try near.sendBlocking([UInt8](repeating: 7, count: 900), timeout: timeout)
        }

    private static func fullQueue() throws -> WorkQueue<[UInt8]> {
        let queue = try WorkQueue<[UInt8]>(name: "queue", WorkQueueOptions(capacity: 4096))
        while try queue.trySend([UInt8](repeating: 7, count: 200)) {}
        return queue
    }

    private static let queueTimes: [ParameterRow] =
        waits("WorkQueue.receive.timeout", "work queue queue: not within") { timeout in
            let queue = try WorkQueue<Int>(name: "queue", WorkQueueOptions(capacity: 4096))
            if timeout > .zero { try await queue.send(1) }
            mustHold(try await queue.receive(timeout: timeout).message == 1)
        }
        + waits("WorkQueue.receive.timeout", "work queue queue: not within") { timeout in
            let queue = try WorkQueue<Int>(name: "queue", WorkQueueOptions(capacity: 4096))
            async let delivery = queue.receive(timeout: timeout)
            if timeout > .zero {
                try await EventLoop.sleep(for: .milliseconds(5))
                try await queue.send(1)
            }
            mustHold(try await delivery.message == 1)
        }
        + waits("WorkQueue.receiveBlocking.timeout", "work queue queue: not within") { timeout in
            let queue = try WorkQueue<Int>(name: "queue", WorkQueueOptions(capacity: 4096))
            if timeout > .zero { try await queue.send(1) }
            mustHold(try queue.receiveBlocking(timeout: timeout).message == 1)
        }
        + waits("WorkQueue.send.timeout", "work queue queue: not within") { timeout in
            let queue = try fullQueue()
            if timeout > .zero { _ = try await queue.receive() }
            try await queue.send([7], timeout: timeout)
        }
        + waits("WorkQueue.sendBlocking.timeout", "work queue queue: not within") { timeout in
            let queue = try fullQueue()
            if timeout > .zero { _ = try await queue.receive() }
            try queue.sendBlocking([7], timeout: timeout)
        }

    // Stores behind one interface

    private static func store() throws -> SharedStore {
        try SharedStore(capacity: StoreCapacity(entries: 64, bytes: 1 << 20, publishLog: 1 << 14))
    }

    private static func nearCache() async throws -> NearCache {
        try await NearCache(local: store(), remote: store())
    }

    private static let storeCalls: [(String, @Sendable (SharedStore, String) async throws -> Void)] = [
        ("SharedStore.load.key", { _ = try await $0.load($1) as StoredValue? }),
        ("SharedStore.load.keys", { _ = try await $0.load([$1]) }),
        ("SharedStore.store.key", { _ = try await $0.store($1, StoredValue(1), expires: nil, if: .always) }),
        ("SharedStore.remove.key", { _ = try await $0.remove($1) }),
        ("SharedStore.compareAndSet.key", { _ = try await $0.compareAndSet($1, expecting: nil, to: StoredValue(1)) }),
        ("SharedStore.publish.channel", { try await $0.publish($1, StoredValue(1)) }),
        ("SharedStore.subscribe.channel", { try await $0.subscribe($1).unsubscribe() }),
        ("SharedStore.subscribe.channel", { (try $0.subscribe($1) as StoreMessages<Int>).unsubscribe() }),
        (
            "SharedStore.onSubscriberReceive.channel",
            { try $0.onSubscriberReceive($1, as: Int.self) { _ in }.unsubscribe() }
        ),
        ("SharedStore.watch.key", { try $0.watch($1, as: Int.self).unsubscribe() }),
    ]

    private static let backends: [ParameterRow] =
        storeCalls.flatMap { parameter, call in
            Parameter.text(
                parameter, empty: .refused("0 bytes", "1 to 512"), huge: .refused("\(10 << 20) bytes", "1 to 512"),
                other: .means("a key like any other")
            ) { try await call(store(), $0) }
        }
        + Parameter.text(
            "SharedStore.all.prefix", empty: .means("every key"), huge: .means("no key"), other: .means("no key")
        ) { prefix in
            let store = try store()
            try store.set("key", 1)
            mustHold(try await store.all(prefix: prefix).count == (prefix.isEmpty ? 1 : 0))
        }
        + Parameter.duration(
            "SharedStore.store.expires", zero: .refused("expiry of 0.0 seconds"), negative: .refused("expiry of -"),
            huge: .means("292 years")
        ) { _ = try await store().store("key", StoredValue(1), expires: $0, if: .always) }
        + Parameter.text(
            "SubscriptionStart.resuming.as", empty: .refused("without a name"), huge: .means("a name like any other"),
            other: .means("a name like any other")
        ) { (try store().subscribe("channel", from: .resuming(as: $0)) as StoreMessages<Int>).unsubscribe() }

    private static let cacheCalls: [(String, @Sendable (NearCache, String) async throws -> Void)] = [
        ("NearCache.load.key", { _ = try await $0.load($1) as StoredValue? }),
        ("NearCache.load.keys", { _ = try await $0.load([$1]) }),
        ("NearCache.store.key", { _ = try await $0.store($1, StoredValue(1), expires: nil, if: .always) }),
        ("NearCache.remove.key", { _ = try await $0.remove($1) }),
        ("NearCache.increment.key", { _ = try await $0.increment($1, by: 1) }),
        ("NearCache.compareAndSet.key", { _ = try await $0.compareAndSet($1, expecting: nil, to: StoredValue(1)) }),
        ("NearCache.setLife.key", { _ = try await $0.setLife($1, nil) }),
        ("NearCache.remainingLife.key", { _ = try await $0.remainingLife($1) }),
    ]

    private static let cacheCounts: [(String, @Sendable (NearCache, String) async throws -> Int)] = [
        ("NearCache.all.prefix", { try await $0.all(prefix: $1).count }),
        ("NearCache.keys.prefix", { try await $0.keys(prefix: $1).count }),
    ]

    private static let cacheLives: [(String, @Sendable (NearCache, Duration) async throws -> Void)] = [
        ("NearCache.store.expires", { _ = try await $0.store("key", StoredValue(1), expires: $1, if: .always) }),
        ("NearCache.setLife.expires", { _ = try await $0.setLife("key", $1) }),
    ]

    private static let nearCaches: [ParameterRow] =
        cacheCalls.flatMap { parameter, call in
            Parameter.text(
                parameter, empty: .refused("0 bytes"), huge: .refused("\(10 << 20) bytes"),
                other: .means("a key like any other")
            ) { key in
                let cache = try await nearCache()
                do { try await call(cache, key) } catch {
                    await cache.close()
                    throw error
                }
                await cache.close()
            }
        }
        + cacheCounts.flatMap { parameter, count in
            Parameter.text(parameter, empty: .means("every key"), huge: .means("no key"), other: .means("no key")) {
                let cache = try await nearCache()
                _ = try await cache.store("key", StoredValue(1), expires: nil, if: .always)
                mustHold(try await count(cache, $0) == ($0.isEmpty ? 1 : 0))
                await cache.close()
            }
        }
        + Parameter.number(
            "NearCache.increment.by", zero: .means("the number as it is"), negative: .means("less"),
            huge: .means("the greatest")
        ) { (amount: Int64) in
            let cache = try await nearCache()
            mustHold(try await cache.increment("key", by: amount) == amount)
            await cache.close()
        }
        + cacheLives.flatMap { parameter, call in
            Parameter.duration(
                parameter, zero: .refused("expiry of 0.0 seconds"), negative: .refused("expiry of -"),
                huge: .means("292 years")
            ) { life in
                // With a remote that refuses what the package's own do.
                let remote = try store()
                let cache = try await NearCache(local: try store(), remote: remote)
                do { try await call(cache, life) } catch {
                    await cache.close()
                    throw error
                }
                await cache.close()
            }
        }
        + Parameter.duration(
            "NearCache.init.staleness", zero: .refused("staleness of 0.0 seconds"),
            negative: .refused("staleness of -"),
            huge: .means("as long as the key lives")
        ) { try await NearCache(local: store(), remote: store(), staleness: $0).close() }
        + Parameter.text(
            "NearCache.init.prefix", empty: .means("copies among other data"),
            huge: .means("no copies: counted as local failures"),
            other: .means("text like any other")
        ) { prefix in
            let cache = try await NearCache(local: store(), remote: store(), prefix: prefix)
            _ = try await cache.store("key", StoredValue(1), expires: nil, if: .always)
            // A read that is under way while the message of the change comes keeps no copy: the next one does.
            try await eventually("a copy or a failure") {
                mustHold(try await cache.load("key") == StoredValue(1))
                return prefix.utf8.count < 500 ? cache.statistics.hits > 0 : cache.statistics.localFailures > 0
            }
            await cache.close()
        }
        + Parameter.text(
            "NearCache.init.channel", empty: .refused("0 bytes"), huge: .refused("\(10 << 20) bytes"),
            other: .means("a channel like any other")
        ) { try await NearCache(local: store(), remote: store(), channel: $0).close() }

    private static let texts: [ParameterRow] =
        Parameter.text(
            "ChannelCall.fail.reason", empty: .refused("the call failed"), huge: .refused("the call failed: xxx"),
            other: .refused("the call failed")
        ) { reason in
            let (near, far) = try Channel<Int>.both()
            async let answer = near.call(1, timeout: .seconds(60))
            try await far.receiveCall().fail(reason)
            _ = try await answer
        }
        + Parameter.number(
            "Channel.send.passing", zero: .means("a descriptor like any other"),
            negative: .refused("Bad file descriptor"),
            huge: .refused("Bad file descriptor")
        ) { (number: Int32) in
            let (near, far) = try Channel<Int>.both()
            try await near.send(1, passing: [number])
            mustHold(try await far.receivePassed().descriptors.count == 1)
        }
        + Parameter.list(
            "Channel.send.passing", of: Int32(0), empty: .means("a message alone"),
            huge: .refused("\(1 << 20) descriptors")
        ) { numbers in
            let (near, _) = try Channel<Int>.both()
            try await near.send(1, passing: numbers)
        }
        + Parameter.unsigned(
            "BackendCapabilities.init.rawValue", zero: .means("none"), huge: .means("bits without a name")
        ) {
            (bits: UInt32) in #expect(BackendCapabilities(rawValue: bits).rawValue == bits)
        }
}
