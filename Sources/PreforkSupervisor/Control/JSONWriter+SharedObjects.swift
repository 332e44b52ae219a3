// The stores, queues and channels of a service as JSON.

import PreforkSystem

extension JSONWriter {
    /// Three members of an answer or of a status.
    mutating func sharedObjects(_ objects: SharedObjects) {
        name("stores")
        stores(objects.stores)
        name("queues")
        queues(objects.queues)
        name("channels")
        channels(objects.channels)
    }

    mutating func stores(_ stores: [SharedObjects.Store]) {
        array(stores) { writer, store in
            writer.object { object in
                object.member("name", store.name)
                object.member("entries", store.entries)
                object.member("entryLimit", store.entryLimit)
                object.member("bytes", store.bytes)
                object.member("byteLimit", store.byteLimit)
                object.member("evictions", store.evictions)
                object.member("expirations", store.expirations)
                object.member("refusals", store.refusals)
                object.member("recoveries", store.recoveries)
                object.member("damages", store.damages)
            }
        }
    }

    mutating func queues(_ queues: [SharedObjects.Queue]) {
        array(queues) { writer, queue in
            writer.object { object in
                object.member("name", queue.name)
                object.member("ready", queue.ready)
                object.member("inFlight", queue.inFlight)
                object.member("deadLetters", queue.deadLetters)
                object.member("usedBytes", queue.usedBytes)
                object.member("capacity", queue.capacity)
                object.member("sent", queue.sent)
                object.member("delivered", queue.delivered)
                object.member("redelivered", queue.redelivered)
                object.member("acknowledged", queue.acknowledged)
                object.member("died", queue.died)
                object.member("dropped", queue.dropped)
                object.member("reclaimed", queue.reclaimed)
                object.member("recoveries", queue.recoveries)
                object.member("damages", queue.damages)
            }
        }
    }

    /// One element for each end, because that is what sends and has a process.
    mutating func channels(_ channels: [SharedObjects.Channel]) {
        let ends = channels.flatMap { channel in channel.ends.map { (channel: channel, end: $0) } }
        array(ends) { writer, row in
            writer.object { object in
                object.member("name", row.channel.name)
                object.member("end", row.end.name)
                object.member("pid", row.end.pid)
                object.member("generation", row.end.generation)
                object.member("state", row.channel.isCorrupt ? "corrupt" : row.end.word)
                object.member("sent", row.end.sent)
                object.member("waiting", row.end.waiting)
                object.member("waitingBytes", row.end.waitingBytes)
            }
        }
    }
}

extension SharedObjects.Channel.End {
    fileprivate var word: String { pid == nil ? "unused" : isClosed ? "closed" : "open" }
}
