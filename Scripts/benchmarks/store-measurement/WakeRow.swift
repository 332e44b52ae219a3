// Publishing 64 bytes to subscribers in other processes that are asleep.

import Glibc
import Prefork

let wakeRows: Rows = ["wake": wakeRow]

/// The last worker publishes, the others subscribe.
@Sendable private func wakeRow(_ arguments: Arguments) throws {
    let store = try makePublishingStore()
    let received = SharedCount()
    let subscribers = try arguments.integer(0)
    let count = try arguments.integer(1)
    try runWorkers(subscribers + 1) { worker in
        guard worker.taskID < subscribers else {
            try measureWakes(count, store, received, subscribers: subscribers)
            kill(getppid(), SIGTERM)
            return try await worker.stopRequested.wait()
        }
        let subscription = try store.onSubscriberReceive(publishedChannel) { (value: [UInt8]) in
            if value.count == publishedMessage.count { received.add() }
        }
        received.add()
        try await worker.stopRequested.wait()
        withExtendedLifetime(subscription) {}
    }
}

/// Before each message all subscribers have had time to fall asleep.
private func measureWakes(_ count: Int, _ store: SharedStore, _ received: SharedCount, subscribers: Int) throws {
    var calls: [Double] = []
    var deliveries: [Double] = []
    try received.wait(for: subscribers)
    for index in 1...count {
        usleep(1_000 + 20 * UInt32(subscribers))
        let start = now()
        try store.publish(publishedChannel, publishedMessage)
        calls.append(now() - start)
        try received.wait(for: subscribers * (index + 1))
        deliveries.append(now() - start)
    }
    report(["publish_us": median(calls) * 1e6, "delivered_us": median(deliveries) * 1e6])
}
