// Metrics of managed processes, stores, queues and channels.

import PreforkSystem

extension PrometheusText {
    mutating func managedProcesses(_ processes: [TargetStatus]) {
        guard !processes.isEmpty else { return }
        each(processes, "prefork_managed_up", "gauge", "Whether a managed process is running and ready") {
            $0.phase == .running ? 1 : 0
        }
        each(processes, "prefork_managed_restarts_total", "counter", "Restarts of a managed process after crashes") {
            $0.restarts
        }
        each(processes, "prefork_managed_generation", "gauge", "Number of processes that a managed process has had") {
            $0.generation
        }
    }

    private mutating func each(
        _ processes: [TargetStatus], _ name: String, _ type: String, _ help: String, _ value: (TargetStatus) -> Int
    ) {
        family(name, type, help)
        for process in processes { sample(name, [("process", process.name)], value(process)) }
    }

    mutating func sharedObjects(_ objects: SharedObjects) {
        stores(objects.stores)
        queues(objects.queues)
        channels(objects.channels)
    }

    private mutating func stores(_ stores: [SharedObjects.Store]) {
        guard !stores.isEmpty else { return }
        func each(_ name: String, _ type: String, _ help: String, _ value: KeyPath<SharedObjects.Store, Int>) {
            family(name, type, help)
            for store in stores { sample(name, [("store", store.name)], store[keyPath: value]) }
        }
        each("prefork_store_entries", "gauge", "Entries in a shared store", \.entries)
        each("prefork_store_entries_limit", "gauge", "Largest number of entries of a shared store", \.entryLimit)
        each("prefork_store_bytes", "gauge", "Bytes that the entries of a shared store take", \.bytes)
        each("prefork_store_bytes_limit", "gauge", "Largest number of bytes that entries may take", \.byteLimit)
        each("prefork_store_evictions_total", "counter", "Entries removed to make room for others", \.evictions)
        each("prefork_store_expirations_total", "counter", "Expired entries that were removed", \.expirations)
        each("prefork_store_refusals_total", "counter", "Operations that found no room", \.refusals)
        each(
            "prefork_store_recoveries_total", "counter", "Repairs after the death of a process that held a lock",
            \.recoveries)
        each("prefork_store_damages_total", "counter", "Entries lost because a process wrote over them", \.damages)
    }

    private mutating func queues(_ queues: [SharedObjects.Queue]) {
        guard !queues.isEmpty else { return }
        func each(_ name: String, _ type: String, _ help: String, _ value: KeyPath<SharedObjects.Queue, Int>) {
            family(name, type, help)
            for queue in queues { sample(name, [("queue", queue.name)], queue[keyPath: value]) }
        }
        each("prefork_queue_messages_ready", "gauge", "Messages that wait for a receiver", \.ready)
        each("prefork_queue_messages_in_flight", "gauge", "Messages delivered and not settled yet", \.inFlight)
        each("prefork_queue_dead_letters", "gauge", "Dead letters that wait to be taken", \.deadLetters)
        each("prefork_queue_used_bytes", "gauge", "Bytes of a queue that messages fill", \.usedBytes)
        each("prefork_queue_capacity_bytes", "gauge", "Bytes of a queue for messages", \.capacity)
        each("prefork_queue_sent_total", "counter", "Messages that went in", \.sent)
        each("prefork_queue_delivered_total", "counter", "Deliveries, repeated ones included", \.delivered)
        each("prefork_queue_redelivered_total", "counter", "Repeated deliveries", \.redelivered)
        each("prefork_queue_acknowledged_total", "counter", "Deliveries that were acknowledged", \.acknowledged)
        each("prefork_queue_dead_lettered_total", "counter", "Messages that have become dead letters", \.died)
        each("prefork_queue_dropped_total", "counter", "Dead letters that were dropped", \.dropped)
        each("prefork_queue_reclaimed_total", "counter", "Messages taken back from dead processes", \.reclaimed)
        each(
            "prefork_queue_recoveries_total", "counter", "Repairs after the death of a process in the middle of a step",
            \.recoveries)
        each("prefork_queue_damages_total", "counter", "Messages lost because a process wrote over them", \.damages)
    }

    private mutating func channels(_ channels: [SharedObjects.Channel]) {
        guard !channels.isEmpty else { return }
        func each(
            _ name: String, _ type: String, _ help: String, _ value: (SharedObjects.Channel.End) -> UInt64
        ) {
            family(name, type, help)
            for channel in channels {
                for end in channel.ends { sample(name, [("channel", channel.name), ("end", end.name)], value(end)) }
            }
        }
        each("prefork_channel_open", "gauge", "Whether a process is at this end of a channel") {
            $0.pid != nil && !$0.isClosed ? 1 : 0
        }
        each("prefork_channel_sent_total", "counter", "Messages sent from this end of a channel") { $0.sent }
        each("prefork_channel_waiting", "gauge", "Messages from this end that the other one has not taken yet") {
            UInt64(clamping: $0.waiting)
        }
        each("prefork_channel_waiting_bytes", "gauge", "Bytes of the messages that wait") {
            UInt64(clamping: $0.waitingBytes)
        }
        family("prefork_channel_corrupt", "gauge", "Whether a channel was closed for good because of damage")
        for channel in channels {
            sample("prefork_channel_corrupt", [("channel", channel.name)], channel.isCorrupt ? 1 : 0)
        }
    }
}
