// The layout of a worker's requests in the memory that it shares with its supervisor.

import Synchronization

/// The layout of one process's ring, in words of eight bytes. The process writes it, and the supervisor reads it as
/// text of others: any word may hold anything at any time.
///
/// | words          | what                                                                                 |
/// |----------------|--------------------------------------------------------------------------------------|
/// | 0              | the task that runs on the event loop now, as an opaque number, or 0                  |
/// | 1              | requests begun on the loop, minus those that ended on it                             |
/// | 2              | the same of all other threads, as a signed number: a mark may end on another thread  |
/// | 3              | connections that have a message in hand                                              |
/// | 8 ..< 75       | for each slot the number of the mark in it, or 0 if the slot is free                 |
/// | 80 + 24 × slot | the slot: see `Field`                                                                |
///
/// | slots    | for                                                                                        |
/// |----------|--------------------------------------------------------------------------------------------|
/// | 0 ... 32 | requests marked on the loop, with the spare slot last                                      |
/// | 33 ... 49| requests marked on other threads, with the spare slot last                                 |
/// | 50 ... 66| connections with a message in hand, with the spare slot last                               |
///
/// A process may have thousands of requests in flight. Those that find no slot are counted only, but the spare slot
/// names the last of them: a request that crashes its worker at once, as most do, has a name even then. Connections
/// have separate slots, so that clients which send half a head cannot take the slots of requests.
package enum RequestRingLayout {
    package static let labelLimit = 128
    package static let byteCount = (firstSlot + slotCount * slotWords) * 8

    static let loopSpare = 32
    static let elsewhereSpare = 49
    static let connectionSpare = 66
    static let firstElsewhere = 33
    static let firstConnection = 50
    static let slotCount = 67
    static let slotWords = 24
    static let firstState = 8
    static let firstSlot = 80

    enum Head {
        static let task = 0
        static let liveOnLoop = 1
        static let liveElsewhere = 2
        static let connections = 3
    }

    /// The words of a slot. The label is UTF-8, of 128 bytes at most.
    enum Field {
        /// Nanoseconds of CLOCK_MONOTONIC.
        static let start = 0
        /// The task that has made the mark, or 0 if no task on the loop did.
        static let task = 1
        /// Requests: the trace ID. Connections: the two halves of the peer's address.
        static let high = 2
        static let low = 3
        /// Requests: see `Info`. Connections: family, port and scope.
        static let info = 4
        /// Requests: the first of 16 words of text. Connections: the bytes read so far.
        static let text = 5
        static let bytesRead = 5
    }

    enum Info {
        static let lengthMask: UInt64 = 0xFF
        /// The body is a synchronous one: it executes until the mark ends.
        static let executes: UInt64 = 0x100
        static let hasTrace: UInt64 = 0x200
    }

    static func isConnection(_ slot: Int) -> Bool { slot >= firstConnection }

    /// Proof: the callers give the base of `byteCount` bytes, aligned to eight, and a word number of the layout, which
    /// is below `byteCount / 8`. The memory is only ever used as these atomic words.
    @inline(__always)
    static func word(_ base: UnsafeMutableRawPointer, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always)
    static func state(_ slot: Int) -> Int { firstState + slot }

    @inline(__always)
    static func field(_ slot: Int, _ field: Int) -> Int { firstSlot + slot * slotWords + field }
}
