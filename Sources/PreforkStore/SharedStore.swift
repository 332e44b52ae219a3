// The store as its users see it.

import PreforkSystem

/// A key-value store in shared memory, with publish and subscribe.
///
/// ```swift
/// let store = try SharedStore(capacity: .init(entries: 10_000, bytes: 16 << 20))     // before the fork
/// try store.set("user:1", "Alice", expires: .seconds(60))
/// let name: String? = try store.get("user:1")
/// let hits = try store.increment("hits")
/// ```
///
/// Made before the fork, it is the same store in the supervisor and in every worker, also in those that are forked
/// later; a program that was started by exec opens it by `init(adopting:)`. It lives as long as a process has it.
///
/// - Reading takes no lock and waits for nobody: some ten nanoseconds, on every processor at once.
/// - Writing takes the lock of one of up to 64 stripes. A process that is killed at any instruction leaves the old
///   value or the new one and a lock that the next writer puts in order (`stats.recoveries`); a process that is
///   *stopped* while it has a lock makes writers of that stripe wait until `lockTimeout`, then throw `.busy`.
/// - No call waits longer than `lockTimeout` for locks, all of them together. In a process that is no worker, for
///   example in the supervisor, no call waits longer than 100 ms.
/// - A process that writes over the store's memory makes calls throw `.corrupt`, or lose entries, which
///   `stats.damages` counts. It crashes no other process, and holds none longer than `lockTimeout`.
/// - All processes that use a store must be in one PID namespace (pid_namespaces(7)).
/// - Values are copies: what `get` has returned changes no more.
/// - Every operation may be called from any thread. None suspends; an operation is over in less than a microsecond
///   unless it waits for a lock. In the supervisor they may be called from hooks.
///
/// Limits: keys 1 to 512 bytes of UTF-8, values up to 1 MiB, steps of up to 64 keys; capacity as given.
///
/// Follows liteyuki.comm.storage, whose every get was a message to the main process and back.
public final class SharedStore: Sendable {
    package let table: StoreTable
    /// What turns values into bytes whose type is no `SharedValue`.
    public let codec: any ValueCodec
    /// Names it among what the next image of this program is left.
    private let offer: UInt64

    /// Makes a store, empty.
    ///
    /// - Parameters:
    ///   - capacity: what it has room for; never grows.
    ///   - whenFull: what happens to a new entry that finds no room.
    ///   - codec: for values whose type does not travel by itself. All processes must use the same.
    ///   - lockTimeout: how long one call waits at most for locks, all of them together, for example for one that a
    ///     stopped process holds. In a process that is no worker, for example the supervisor, at most 100 ms. Zero and
    ///     less: no lock is waited for.
    /// - Throws: `.badArgument` for a capacity that makes no sense; `.system` when there is no memory or descriptor.
    public init(
        capacity: StoreCapacity = StoreCapacity(), whenFull: WhenFull = .refuse, codec: any ValueCodec = CBORCodec(),
        lockTimeout: Duration = .seconds(1)
    ) throws(StoreError) {
        let key = "\(capacity) \(whenFull)"
        if let left = Handover.take("store", key: key, descriptors: 2) {
            // What the last image of this program, which has re-executed itself, had in it. Its memory is not asked what
            // it is: workers write there.
            let file = MemoryFile(owning: Descriptor(owning: left.descriptors[0]))
            let bell = try Self.bell(left.descriptors[1])
            table = try StoreTable(
                file, bell: bell,
                form: StoreForm(text: left.text, capacity, evicts: whenFull == .evictLeastRecentlyUsed),
                lockTimeout: lockTimeout.saturatedNanoseconds)
        } else {
            table = try StoreTable(
                capacity, evicts: whenFull == .evictLeastRecentlyUsed, lockTimeout: lockTimeout.saturatedNanoseconds)
        }
        self.codec = codec
        StoreRegistry.add(table)
        let descriptors = [table.file.descriptor.number, table.bell.descriptor.number]
        offer = Handover.offer(
            HandoverItem(kind: "store", key: key, descriptors: descriptors, text: StoreForm(table).text))
    }

    deinit {
        Handover.withdraw(offer)
    }

    /// Opens a store that another process has made, by the descriptors that came from there.
    ///
    /// A process that is no descendant of the supervisor whose workers have the store must run as the workers' user: a
    /// lock that one of another user keeps for `lockTimeout` counts as damaged, and is taken from it.
    ///
    /// - Parameter descriptors: owned by the store from now on, also when this throws.
    /// - Throws: `.notAStore` when they are something else or of another version of this package; `.system`.
    public init(
        adopting descriptors: StoreDescriptors, codec: any ValueCodec = CBORCodec(), lockTimeout: Duration = .seconds(1)
    ) throws(StoreError) {
        table = try StoreTable(
            MemoryFile(owning: Descriptor(owning: descriptors.memory)),
            bell: Self.bell(descriptors.bell), form: nil,
            lockTimeout: lockTimeout.saturatedNanoseconds)
        self.codec = codec
        offer = 0
        StoreRegistry.add(table)
    }

    private static func bell(_ number: Int32) throws(StoreError) -> Bell {
        do throws(SystemError) {
            return try Bell(adopting: Descriptor(owning: number))
        } catch {
            throw StoreError(.notAStore("its bell is another kind of descriptor"))
        }
    }

    /// The store's two descriptors in this process, to be handed to a program that is started by exec. They are
    /// close-on-exec and stay the store's.
    public var descriptors: StoreDescriptors {
        StoreDescriptors(memory: table.file.descriptor.number, bell: table.bell.descriptor.number)
    }

    /// Calls `body` with the bytes of a key.
    ///
    /// The error travels beside the result: a `Result` of it would cost a look-up of its metadata on the fast path.
    @inline(__always)
    func withKey<Success>(
        _ key: String, _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Success
    ) throws(StoreError) -> Success {
        var failure: StoreError?
        func call(_ utf8: UnsafeBufferPointer<UInt8>) -> Success? {
            do throws(StoreError) {
                return try body(UnsafeRawBufferPointer(utf8))
            } catch {
                failure = error
                return nil
            }
        }
        // Without a copy of the string, which `withUTF8` needs, and which is counted. A string that came from elsewhere
        // than Swift may have no bytes to lend.
        var success: Success?
        if key.utf8.withContiguousStorageIfAvailable({ success = call($0) }) == nil {
            var copy = key
            success = copy.withUTF8 { call($0) }
        }
        if let success { return success }
        // Without a result there is an error.
        let error = failure!
        throw error.key.isEmpty ? StoreError(error.code, key: key) : error
    }
}

/// A store's descriptors, as numbers of one process.
public struct StoreDescriptors: Hashable, Sendable {
    public var memory: Int32
    public var bell: Int32

    public init(memory: Int32, bell: Int32) {
        self.memory = memory
        self.bell = bell
    }
}
