// Names that a service shares, with values that make no sense.

import PreforkStore
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels

extension ParameterTableTests {
    static let familyNames: [ParameterRow] =
        Parameter.text(
            "Channel.register.as", empty: .refused("1 to 255 bytes"), huge: .refused("1 to 255 bytes"),
            other: .means("a name like any other")
        ) { name in
            var options = ChannelOptions()
            options.travels = true
            let channel = try Channel<Int>(name: uniqueName("named"), options)
            try namesTurn.withLock { _ in
                try channel.register(as: name, replacing: true)
                mustHold(try Channel<Int>.named(name).core === channel.core)
                channel.unregister()
            }
        }
        + Parameter.text(
            "WorkQueue.register.as", empty: .refused("1 to 255 bytes"), huge: .refused("1 to 255 bytes"),
            other: .means("a name like any other")
        ) { name in
            var options = WorkQueueOptions(capacity: 4096)
            options.travels = true
            let queue = try WorkQueue<Int>(name: "named", options)
            try namesTurn.withLock { _ in
                try queue.register(as: name, replacing: true)
                mustHold(try WorkQueue<Int>.named(name).table === queue.table)
                try queue.unregister()
            }
        }
        + Parameter.text(
            "WorkQueue.named.name", empty: .refused("no queue"), huge: .refused("no queue", "xxx"),
            other: .refused("no queue")
        ) { _ = try WorkQueue<String>.named($0 + ($0.isEmpty ? "" : "?")) }
        + Parameter.text(
            "SharedStore.register.as", empty: .refused("1 to 255 bytes"), huge: .refused("1 to 255 bytes"),
            other: .means("a name like any other")
        ) { name in
            let store = try SharedStore()
            try namesTurn.withLock { _ in
                try store.register(as: name, replacing: true)
                mustHold(try SharedStore.named(name).table === store.table)
                try store.unregister()
            }
        }
        + Parameter.text(
            "SharedStore.named.name", empty: .refused("no store"), huge: .refused("no store", "xxx"),
            other: .refused("no store")
        ) { _ = try SharedStore.named($0 + ($0.isEmpty ? "" : "?")) }
}
