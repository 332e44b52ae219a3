// A queue of messages in shared memory, synchronous. Waiting for it is the task of another module.

package import PreforkSystem
import Synchronization

/// A bounded queue that every process forked later shares. A message goes to one of the receivers, and stays with it
/// until it is settled or the receiver is dead.
///
/// Every operation is a critical section of one lock, which allocates nothing and runs no foreign code. A process that
/// is killed at any instruction of it leaves a state that the next one repairs (`recover`).
package final class QueueTable: @unchecked Sendable {
    // Sendable: the memory is changed under `lock` only, all words are atomics, and the rest is constant.

    /// Why an operation could not even be tried.
    package enum Failure: Error, Equatable {
        /// The lock's owner is stopped, or the machine is overloaded.
        case busy
        /// The shared memory holds what no process of ours has written.
        case corrupt(String)
        /// As many processes receive as can.
        case tooManyOwners
    }

    /// Nanoseconds that a call waits for the lock. Outside of workers it waits less, see `LockPatience`.
    static let longestWait: Int64 = 1_000_000_000

    let cellCount: UInt32
    package var cellLimit: Int { Int(cellCount) }
    /// How often a message may be delivered. If 0, it is delivered once and removed with its delivery.
    package let attempts: Int
    package let messageLimit: Int
    /// Rung when there is a message, an owner more, or the end. Never cleared: it stays readable, and one ring
    /// wakes every process that sleeps on it (each has it edge-triggered). A wake-up for one process alone would be
    /// lost with it if it is killed or stopped.
    package let receiversBell: Bell
    /// Rung when there is room.
    package let sendersBell: Bell

    /// How the next image of the program, and other processes, get the memory. If nil, they do not.
    private let file: MemoryFile?
    private let mapping: SharedMapping
    let lock: QuickLock
    private let notedLocks: NotedLocks
    private let header: UnsafeMutablePointer<Atomic<UInt64>>
    private let owners: UnsafeMutablePointer<Atomic<UInt64>>
    private let cells: UnsafeMutableRawPointer
    private let payload: UnsafeMutableRawPointer
    /// This process's slot among the owners: fork epoch, process ID and slot in one word, or 0 before it has a slot.
    let seat = Atomic<UInt64>(0)
    /// When this process may next recompute a full queue: see `examineFreeCells`.
    let nextExamination = Atomic<Int64>(0)

    /// - Parameters:
    ///   - cellCount: at least 4.
    ///   - attempts: 0 to `QueueState.maximumAttempts`.
    ///   - messageLimit: in bytes.
    ///   - isHandedOver: whether there may be a next image of the program, which takes over the queue.
    ///   - travels: whether processes that have not inherited it may get it.
    package convenience init(
        cellCount: UInt32, attempts: Int, messageLimit: Int, isHandedOver: Bool = false, travels: Bool = false
    ) throws(SystemError) {
        let form = QueueForm(cellCount: cellCount, attempts: attempts, messageLimit: messageLimit)
        if isHandedOver || travels {
            let file = try MemoryFile(name: "prefork-queue", byteCount: form.byteCount)
            try self.init(form, file, receiversBell: try Bell(), sendersBell: try Bell(), keepsWhole: !travels)
        } else {
            let mapping = try SharedMapping(byteCount: form.byteCount)
            self.init(form, nil, mapping, receiversBell: try Bell(), sendersBell: try Bell())
        }
        // No other process knows of it yet: the lock is free, and zeroed memory cannot be damaged.
        try? rebuild()
    }

    /// Continues the queue of the previous image, whose workers may be using it.
    ///
    /// - Parameters:
    ///   - descriptors: as its `descriptors` were; this table's from now on.
    ///   - isForeign: they belong to another process, which is not the previous image.
    package convenience init(
        _ form: QueueForm, adopting descriptors: [Int32], isForeign: Bool = false
    ) throws(SystemError) {
        guard descriptors.count == 3 else {
            throw SystemError("mmap", .invalidArgument, on: "\(descriptors.count) descriptors of a queue")
        }
        let file = MemoryFile(owning: Descriptor(owning: descriptors[0]))
        let receiversBell = try Bell(adopting: Descriptor(owning: descriptors[1]))
        let sendersBell = try Bell(adopting: Descriptor(owning: descriptors[2]))
        guard try file.sealedByteCount() == form.byteCount else {
            throw SystemError("mmap", .invalidArgument, on: "the memory of a queue")
        }
        try self.init(form, file, receiversBell: receiversBell, sendersBell: sendersBell, keepsWhole: !isForeign)
    }

    private convenience init(
        _ form: QueueForm, _ file: consuming MemoryFile, receiversBell: consuming Bell, sendersBell: consuming Bell,
        keepsWhole: Bool
    ) throws(SystemError) {
        let mapping =
            keepsWhole
            ? try SharedMapping(keepingWhole: file, byteCount: form.byteCount)
            : try SharedMapping(file, byteCount: form.byteCount)
        self.init(form, file, mapping, receiversBell: receiversBell, sendersBell: sendersBell)
    }

    private init(
        _ form: QueueForm, _ file: consuming MemoryFile?, _ mapping: consuming SharedMapping,
        receiversBell: consuming Bell, sendersBell: consuming Bell
    ) {
        self.cellCount = form.cellCount
        self.attempts = form.attempts
        self.messageLimit = form.messageLimit
        self.file = file
        self.receiversBell = receiversBell
        self.sendersBell = sendersBell
        self.mapping = mapping
        // In bounds: the offsets are the mapping's own parts. Zeroed memory is a free cell, an empty slot, a 0.
        let base = self.mapping.base
        let (ownersOffset, cellsOffset) = (QueueForm.ownersOffset, QueueForm.cellsOffset)
        header = base.bindMemory(to: Atomic<UInt64>.self, capacity: QueueHeader.byteCount / 8)
        owners = (base + ownersOffset).bindMemory(to: Atomic<UInt64>.self, capacity: (cellsOffset - ownersOffset) / 8)
        cells = base + cellsOffset
        payload = base + form.payloadOffset
        lock = QuickLock(
            SharedWords(base: base + QueueHeader.lockOffset), own: SharedWords(base: LockOwner.currentWord))
        notedLocks = NotedLocks(at: base + QueueHeader.lockOffset)
    }

    package var form: QueueForm { QueueForm(cellCount: cellCount, attempts: attempts, messageLimit: messageLimit) }

    /// Of the memory; nil where it has no file.
    package var identity: FileIdentity? { memoryDescriptor.flatMap { FileIdentity(of: $0) } }

    /// Memory and both bells, for the next image and for other processes; empty: they get none.
    package var descriptors: [Int32] {
        guard let memory = memoryDescriptor else { return [] }
        return [memory, receiversBell.descriptor.number, sendersBell.descriptor.number]
    }

    private var memoryDescriptor: Int32? {
        switch file {
        case .some(let file): file.descriptor.number
        case .none: nil
        }
    }

    @inline(__always)
    subscript(word: QueueHeader) -> UInt64 {
        get { header[word.rawValue].load(ordering: .relaxed) }
        set { header[word.rawValue].store(newValue, ordering: .relaxed) }
    }

    /// A cell's number or an end, as the header has it.
    @inline(__always)
    subscript(link word: QueueHeader) -> UInt32 {
        get { UInt32(truncatingIfNeeded: self[word]) }
        set { self[word] = UInt64(newValue) }
    }

    /// `slot` must be below `QueueOwnerWord.slots`.
    @inline(__always)
    subscript(slot: Int, word: QueueOwnerWord) -> UInt64 {
        get { owners[slot &* QueueOwnerWord.wordsPerSlot &+ word.rawValue].load(ordering: .acquiring) }
        set {
            owners[slot &* QueueOwnerWord.wordsPerSlot &+ word.rawValue].store(newValue, ordering: .releasing)
        }
    }

    /// `cell` must be below `cellCount`.
    @inline(__always)
    subscript(cell: UInt32, word: QueueCellWord) -> UInt32 {
        get { word32(cell, word).pointee.load(ordering: .relaxed) }
        set { word32(cell, word).pointee.store(newValue, ordering: .relaxed) }
    }

    /// The word that commits: a reader that sees it sees all that was written before. `cell` must be below `cellCount`.
    @inline(__always)
    subscript(state cell: UInt32) -> QueueState {
        get { QueueState(word: word64(cell).pointee.load(ordering: .acquiring)) }
        set { word64(cell).pointee.store(newValue.word, ordering: .releasing) }
    }

    @inline(__always)
    private func word32(_ cell: UInt32, _ word: QueueCellWord) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (cells + Int(cell) &* QueueCell.metaBytes + word.rawValue &* 4).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always)
    private func word64(_ cell: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (cells + Int(cell) &* QueueCell.metaBytes).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// `QueueCell.payloadBytes` bytes. `cell` must be below `cellCount`.
    @inline(__always)
    func bytes(of cell: UInt32) -> UnsafeMutableRawPointer {
        payload + Int(cell) &* QueueCell.payloadBytes
    }

    /// For tests that damage it: the lock comes first.
    package var memoryFromLock: UnsafeMutableRawBufferPointer {
        let start = QueueHeader.lockOffset
        return UnsafeMutableRawBufferPointer(start: mapping.base + start, count: mapping.byteCount - start)
    }

    /// A count that damage may have made too small.
    func subtract(_ amount: UInt64, from word: QueueHeader) {
        self[word] = self[word] >= amount ? self[word] - amount : 0
    }
}
