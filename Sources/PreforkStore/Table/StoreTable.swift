// The store's memory: made, or taken over from another process.

package import PreforkSystem
import Synchronization

/// A hash table in memory that several processes share. Below the types: keys and values are bytes here.
///
/// Reading takes no lock (`StoreTable+Reading`). Writing takes the lock of the key's stripe, writes a new block, and
/// publishes it by one store of a reference (`StoreTable+Writing`). A process that is killed before that store has
/// changed nothing, and after it everything. The rest (free blocks, counts) can be computed from the references, and
/// the next process to take a dead owner's lock does so (`StoreTable+Recovery`).
///
/// LMDB's rule (copy on write, one commit) on a hash table. For the eviction's ideas, see SIEVE and Redis.
package final class StoreTable: Sendable {
    package let file: MemoryFile
    /// Rung when a sleeper wants to know of a change. See `prepareToSleep`.
    package let bell: Bell
    private let mapping: SharedMapping
    package let layout: StoreLayout
    let memory: SharedWords
    let secrets: KeyHash.Secrets
    /// How long a writer waits for a lock whose owner lives, in nanoseconds.
    let lockTimeout: Int64
    /// When this process last searched for damage after a refusal. See `examine`.
    let lastExamination = Atomic<Int64>(0)
    /// The stripe whose turn it is then.
    let examinationTurn = Atomic<Int>(0)

    /// What every look-up needs of the layout, computed once.
    let map: StoreMap
    let bucketsPerStripe: Int
    /// What this process writes into a lock that it takes.
    let ownWord = SharedWords(base: LockOwner.currentWord)
    /// All locks of the store: the stripes' locks, and the publish log's.
    private let notedLocks: [NotedLocks]

    /// A new store, empty.
    package init(_ capacity: StoreCapacity, evicts: Bool, lockTimeout: Int64) throws(StoreError) {
        layout = try StoreLayout(capacity, evicts: evicts)
        bucketsPerStripe = layout.homeBuckets + layout.overflowBuckets
        self.lockTimeout = lockTimeout
        let isReserved = try Self.checkMemory(layout)
        do {
            file = try MemoryFile(name: "prefork-store", byteCount: layout.byteCount)
            if isReserved { try file.reserve(byteCount: layout.byteCount) }
            bell = try Bell()
            mapping = try SharedMapping(file, byteCount: layout.byteCount)
            memory = SharedWords(base: mapping.base)
            notedLocks = Self.note(mapping.base, layout)
            map = StoreMap(layout, at: mapping.base)
        } catch {
            throw StoreError(error)
        }
        secrets = .random
        writeHeader()
    }

    private static func note(_ base: UnsafeMutableRawPointer, _ layout: StoreLayout) -> [NotedLocks] {
        let stripes = NotedLocks(
            at: base + layout.stripesOffset, count: layout.stripes, stride: StoreLayout.stripeBytes)
        return layout.capacity.publishLog > 0 ? [stripes, NotedLocks(at: base + layout.logOffset)] : [stripes]
    }

    private func writeHeader() {
        memory[Header.version] = Header.versionValue
        memory[Header.entries] = UInt64(layout.capacity.entries)
        memory[Header.bytes] = UInt64(layout.capacity.bytes)
        memory[Header.publishLog] = UInt64(layout.capacity.publishLog)
        memory[Header.evicts] = layout.evicts ? 1 : 0
        for (index, secret) in secrets.words.enumerated() {
            memory[Header.secrets + index * 8] = secret
        }
        memory[Header.slabHint] = 1
        memory.release(Header.magic, Header.magicValue)
    }

    /// A store that another process has made.
    ///
    /// - Parameter form: what the caller knows of it. If nil, it is read from the header, which every process that has
    ///   the store can write. A supervisor must not pass nil.
    /// - Parameter isPrivate: no other process sees what this one writes, and no lock of another one is waited for.
    package init(
        _ file: consuming MemoryFile, bell: consuming Bell, form: StoreForm?, lockTimeout: Int64,
        isPrivate: Bool = false
    ) throws(StoreError) {
        let size: Int
        do throws(SystemError) {
            size = try file.sealedByteCount()
        } catch {
            throw StoreError(error)
        }
        let known = if let form { form } else { try StoreForm(readFrom: file, size: size) }
        layout = known.layout
        secrets = known.secrets
        guard layout.byteCount == size else { throw StoreError(.notAStore("\(size) bytes, not \(layout.byteCount)")) }
        bucketsPerStripe = layout.homeBuckets + layout.overflowBuckets
        do throws(SystemError) {
            mapping =
                isPrivate
                ? try SharedMapping(privateCopyOf: file, byteCount: size) : try SharedMapping(file, byteCount: size)
        } catch {
            throw StoreError(error)
        }
        self.file = file
        self.bell = bell
        self.lockTimeout = lockTimeout
        memory = SharedWords(base: mapping.base)
        notedLocks = Self.note(mapping.base, layout)
        map = StoreMap(layout, at: mapping.base)
        if isPrivate { leaveOwners() }
    }

    /// In a private copy, no process owns the locks. What an owner was about to do in the original is repaired here as
    /// after its death.
    private func leaveOwners() {
        func leave(_ lock: SharedLock) { lock.word.pointee.store(LockOwner.needsRepair, ordering: .relaxed) }
        for stripe in 0..<layout.stripes { leave(sharedLock(stripe)) }
        if ringBytes > 0 { leave(logLock.shared) }
    }

    @inline(__always)
    func hash(_ key: UnsafeRawBufferPointer) -> KeyHash { KeyHash(key, secrets) }
}

/// Words of a stripe, by byte offset. All but the lock and the step's words are derived or counters.
enum Stripe {
    static let lock = 0

    /// How many entries have an expiry, whether it has come or not.
    static let expiring = 64
    /// Where the next search for expired entries and for old ones begins: the number of a slot.
    static let sweepHand = 72
    static let evictionHand = 80
    /// New entries since the age clock last advanced.
    static let insertions = 96

    /// For each size of block, the first slab that has room.
    static let openSlabs = 128

    // A step of several keys. See `StoreTable.perform`.
    static let itemCount = 256
    static let coordinator = 264
    static let sequence = 272
    static let committed = 320
    static let participants = 328
    static let nextSequence = 336

    /// Time for the eviction's purposes. It is on a separate cache line, because every reader reads it.
    static let ageClock = 384
}
