// Publishing 64 bytes with nobody to wake.

import Prefork

let publishRows: Rows = ["publish": publishRow]

let publishedChannel = "news"
let publishedMessage = [UInt8](repeating: 7, count: 64)

func makePublishingStore() throws -> SharedStore {
    try SharedStore(capacity: StoreCapacity(entries: 1_024, bytes: 1 << 20))
}

@Sendable private func publishRow(_ arguments: Arguments) throws {
    let store = try makePublishingStore()
    let channel = publishedChannel
    let message = publishedMessage
    let job = Job { _, _ in
        for _ in 0..<operationsPerStep { try store.publish(channel, message) }
    }
    try measure(job, workers: arguments.integer(0), for: arguments.number(1))
}
