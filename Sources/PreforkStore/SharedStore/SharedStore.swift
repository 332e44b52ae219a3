// The store as its users see it.

public import PreforkCBOR
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
/// Made before the fork, it is the same store in the supervisor and in every worker, including later ones. A program
/// that was started by exec opens it by `init(adopting:)`. Other processes of the service get it in the message of a
/// channel, or by a registered name. It lives as long as a process has it.
///
/// - Reading takes no lock and never waits: some ten nanoseconds, on every processor at once.
/// - Writing takes the lock of one of up to 64 stripes. A process that is killed at any instruction leaves the old
///   value or the new one and a lock whose data the next writer repairs (`stats.recoveries`). A process that is
///   *stopped* while it has a lock makes writers of that stripe wait until `lockTimeout`, then throw `.busy`.
/// - No call waits longer than `lockTimeout` for locks, all of them together. In a process that is not a worker, for
///   example in the supervisor, no call waits longer than 100 ms. A call that finds the store full looks for damaged
///   counts, and may wait 10 ms more for the locks of other stripes.
/// - A process that writes over the store's memory makes calls throw `.corrupt`, or lose entries, which
///   `stats.damages` counts. It crashes no other process, and delays no other process longer than `lockTimeout`.
/// - All processes that use a store must be in one PID namespace (pid_namespaces(7)).
/// - Values are copies: what `get` has returned changes no more.
/// - Every operation may be called from any thread. No operation suspends, and each takes less than a microsecond
///   unless it waits for a lock. In the supervisor they may be called from hooks.
///
/// Limits: keys 1 to 512 bytes of UTF-8, values up to 1 MiB, steps of up to 64 keys, capacity as given.
///
/// Follows liteyuki.comm.storage, in which every get was a message to the main process and back.
public final class SharedStore: Sendable {
    package let table: StoreTable
    /// What turns values into bytes if their type is not a `SharedValue`.
    public let codec: any ValueCodec
    /// Names it among what the next image of this program is left.
    private let offer: UInt64

    /// Makes an empty store. A program that was started by an upgrade gets the store that the previous program has
    /// left.
    ///
    /// An upgrade finds a store by its name. Stores without a name are found by their numbers, 0, 1, ... in the order
    /// in which a program makes them. An upgrade to a program that makes more or fewer of these, or a store with
    /// another capacity or `whenFull`, is refused.
    ///
    /// - Parameters:
    ///   - name: any text that is not empty. Two stores of one name are distinguished by the order in which they are
    ///     made.
    ///   - was: for a store that has just got a name: its number in older versions of the program, where it had no
    ///     name. Keep it as long as the program has stores without a name.
    ///   - capacity: what it has room for. It never grows.
    ///   - whenFull: what happens to a new entry that finds no room.
    ///   - codec: for values whose type is not a `SharedValue`. All processes must use the same codec.
    ///   - lockTimeout: how long one call waits at most for locks, all of them together, for example for one that a
    ///     stopped process holds. In a process that is not a worker, for example the supervisor, at most 100 ms. With
    ///     zero or less, it does not wait for a lock.
    /// - Throws: `.badArgument` for an invalid capacity or name, `.memoryLimit` if it does not fit into the control
    ///   group's memory, `.system` if there is no memory or descriptor.
    public init(
        name: String? = nil, was: Int? = nil, capacity: StoreCapacity = StoreCapacity(),
        whenFull: WhenFull = .refuse, codec: any ValueCodec = CBORCodec(), lockTimeout: Duration = .seconds(1)
    ) throws(StoreError) {
        if name?.isEmpty == true { throw StoreError(.badArgument("a store whose name is empty")) }
        if let was, name == nil || was < 0 {
            throw StoreError(.badArgument("`was: \(was)` is the number that a store with a name had before it had one"))
        }
        let evicts = whenFull == .evictLeastRecentlyUsed
        let lockTimeout = lockTimeout.saturatedNanoseconds
        let claim = Handover.claim(Self.handoverKind, name: name, was: was)
        var isTaken = false
        if let left = claim.left, let form = try Self.form(of: left, claim, capacity, evicts: evicts) {
            isTaken = true
            table = try Self.goOn(left.descriptors, form, lockTimeout)
        } else {
            table = try StoreTable(capacity, evicts: evicts, lockTimeout: lockTimeout)
        }
        self.codec = codec
        StoreRegistry.add(table)
        SharedObjects.add(.store { [weak table, title = "\(claim.name)"] in table?.row(title) })
        offer = Handover.offer(
            claim, descriptors: [table.file.descriptor.number, table.bell.descriptor.number],
            text: StoreForm(table).text, isTaken: isTaken)
    }

    package static let handoverKind = "store"

    /// - Returns: nil if this program cannot use what the previous image has left.
    private static func form(
        of left: HandoverItem, _ claim: HandoverClaim, _ capacity: StoreCapacity, evicts: Bool
    ) throws(StoreError) -> StoreForm? {
        do throws(StoreError) {
            // A trial run has the memory alone, because it must not ring.
            guard left.descriptors.count == (Handover.isTrial ? 1 : 2) else {
                throw StoreError(.notAStore("\(left.descriptors.count) descriptors"))
            }
            return try StoreForm(text: left.text, capacity, evicts: evicts)
        } catch {
            guard case .notAStore(let reason) = error.code else {
                Handover.refuse(claim, "\(error)")
                throw error
            }
            Handover.refuse(claim, reason)
            return nil
        }
    }

    /// The store that the last image of this program, which has re-executed itself, had in it. Its memory is not asked
    /// what it is: workers write there. A trial run has a private copy.
    private static func goOn(
        _ descriptors: [Int32], _ form: StoreForm, _ lockTimeout: Int64
    ) throws(StoreError) -> StoreTable {
        let file = MemoryFile(owning: Descriptor(owning: descriptors[0]))
        guard Handover.isTrial else {
            let table = try StoreTable(file, bell: try bell(descriptors[1]), form: form, lockTimeout: lockTimeout)
            // Those that this process had as the program after this one.
            if Handover.isAfterEnd { table.disownLocks() }
            return table
        }
        let bell: Bell
        do throws(SystemError) {
            bell = try Bell()
        } catch {
            throw StoreError(error)
        }
        // A program that the trial run starts with the store's descriptors must not reach the living one either.
        if let copy = try? file.reopenedForReading() {
            return try StoreTable(
                MemoryFile(owning: copy), bell: bell, form: form, lockTimeout: lockTimeout, isPrivate: true)
        }
        return try StoreTable(file, bell: bell, form: form, lockTimeout: lockTimeout, isPrivate: true)
    }

    deinit {
        Handover.withdraw(offer)
    }

    /// Opens a store that another process has made, by the descriptors that came from there.
    ///
    /// A process that is not a descendant of the supervisor whose workers have the store must run as the workers' user:
    /// if a process of another user keeps a lock for `lockTimeout`, the lock counts as damaged and is taken from it.
    ///
    /// - Parameter descriptors: owned by the store from now on, also when this throws.
    /// - Throws: `.notAStore` if they are not a store or belong to another version of this package, `.system`.
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

    /// A second handle of a store that this process has.
    init(_ table: StoreTable, codec: any ValueCodec) {
        self.table = table
        self.codec = codec
        offer = 0
    }

    static func bell(_ number: Int32) throws(StoreError) -> Bell {
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
    /// The error is returned beside the result: a `Result` of it would cost a look-up of its metadata on the fast path.
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
    /// The memory file with the store's contents, a memfd (memfd_create(2)).
    public var memory: Int32
    /// The timerfd that wakes subscribers and watchers in all processes.
    public var bell: Int32

    /// Descriptors by their numbers in this process, for `SharedStore.init(adopting:)`, which takes ownership of both.
    public init(memory: Int32, bell: Int32) {
        self.memory = memory
        self.bell = bell
    }
}
