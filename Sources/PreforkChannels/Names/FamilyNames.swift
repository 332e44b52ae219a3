// Names that the processes of a service share, with what they stand for.

import PreforkStore
import PreforkSystem
import Synchronization

/// What is registered by name, for a supervisor, its workers and its managed processes, also those that were there before.
///
/// The supervisor makes the place before the first fork and does nothing more: the kernel keeps the descriptors
/// (`ParkedDescriptors`), one packet for each name, and the processes take turns by a lock that outlives its owner. A name stays
/// when the process that has registered it is gone, over reloads and upgrades too.
package enum FamilyNames {
    /// How many names there are at most, of all kinds. Each takes up to seven of the descriptors that may be on their way
    /// for one user (RLIMIT_NOFILE of each sender).
    static let limit = 64
    private static let kind = "names"
    private static let version = "1"

    /// Why it did not work.
    enum Failure: Error {
        case duplicate
        case unknown
        case tooMany
        case badName
        case busy
        case damaged
        case refused(HandleRefusal)
        case system(SystemError)
    }

    /// What all processes of a family share.
    final class Place: Sendable {
        let shelf: ParkedDescriptors
        fileprivate let lock: SharedLock
        private let notedLocks: NotedLocks
        private let file: MemoryFile
        private let mapping: SharedMapping

        fileprivate init(_ left: [Int32]) throws(SystemError) {
            if left.count == 3 {
                file = MemoryFile(owning: Descriptor(owning: left[0]))
                shelf = ParkedDescriptors(adopting: left[1], left[2])
                guard try file.sealedByteCount() == FamilyNames.byteCount else {
                    throw SystemError("mmap", .invalidArgument, on: "the lock of names")
                }
            } else {
                file = try MemoryFile(name: "prefork-names", byteCount: FamilyNames.byteCount)
                shelf = try ParkedDescriptors()
            }
            mapping = try SharedMapping(keepingWhole: file, byteCount: FamilyNames.byteCount)
            lock = SharedLock(at: mapping.base)
            notedLocks = NotedLocks(at: mapping.base)
        }

        fileprivate var numbers: [Int32] { [file.descriptor.number] + shelf.numbers }
    }

    private static let byteCount = 4096

    private static let place = Mutex<Place?>(nil)

    /// Makes the place, in a process that will fork. Where there are no descriptors, `register` says so.
    package static func prepare() { _ = try? current() }

    static func current() throws(SystemError) -> Place {
        try place.withLock { place throws(SystemError) in
            if let place { return place }
            let claim = Handover.claim(kind, name: kind)
            var left = Handover.isTrial ? nil : claim.left
            if let item = left, item.text != version {
                Handover.refuse(claim, "its names have another layout")
                left = nil
            }
            let new = try Place(left?.descriptors ?? [])
            if left != nil, Handover.isAfterEnd { _ = new.lock.disown() }
            let numbers = new.numbers
            _ = Handover.offer(claim, descriptors: numbers, text: version, isTaken: left != nil) { isLeaving in
                MemoryFile.keepWhole(numbers[0], !isLeaving)
            }
            place = new
            return new
        }
    }

    private static func locked<Value>(_ body: (ParkedDescriptors) throws -> Value) throws(Failure) -> Value {
        do {
            let place = try current()
            var patience = LockPatience(limit: 1_000_000_000)
            // After the death of an owner there is nothing to repair: see `ParkedDescriptors.sort`.
            if !place.lock.tryLock() { _ = try place.lock.lock(&patience) }
            defer { place.lock.unlock() }
            return try body(place.shelf)
        } catch let error as Failure {
            throw error
        } catch let error as SharedLock.Failure {
            throw error == .busy ? .busy : .damaged
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            throw .damaged
        }
    }

    /// What is on the shelf, the latest of each name. Of what no process of this package has put there, nothing.
    private static func entries(
        _ shelf: ParkedDescriptors, without unwanted: UInt64? = nil
    ) throws(SystemError) -> (valid: [(entry: NameEntry, packet: ParkedDescriptors.Packet)], isTidy: Bool) {
        let (packets, isWhole) = try shelf.list()
        let all = packets.compactMap { packet in NameEntry(packet.bytes).map { (entry: $0, packet: packet) } }
        var valid: [NameEntry.Key: (entry: NameEntry, packet: ParkedDescriptors.Packet)] = [:]
        for (entry, packet) in all where entry.serial != unwanted {
            if let known = valid[entry.key], known.entry.stamp > entry.stamp { continue }
            valid[entry.key] = (entry, packet)
        }
        return (Array(valid.values), isWhole && valid.count == packets.count)
    }

    /// Takes what does not count off the shelf, and `unwanted`.
    private static func tidy(_ shelf: ParkedDescriptors, without unwanted: UInt64? = nil) throws {
        if Family.isBehindWall { throw Failure.refused(.isBehindWall) }
        var wanted = Set(try entries(shelf, without: unwanted).valid.map(\.entry.serial))
        try shelf.sort(atMost: NameEntry.mostDescriptors) { bytes in
            NameEntry(bytes).map { wanted.remove($0.serial) != nil } ?? false
        }
    }

    /// - Parameter descriptors: stay the caller's.
    static func register(_ note: HandleNote, _ descriptors: [Int32], replacing: Bool) throws(Failure) {
        guard (1...HandleNote.longestName).contains(note.name.utf8.count) else { throw .badName }
        try locked { shelf in
            let (valid, isTidy) = try entries(shelf)
            let key = NameEntry.Key(kind: note.kind, name: note.name)
            let new = NameEntry(note, memory: descriptors[0])
            let old = valid.first { $0.entry.key == key }?.entry
            if let old, !replacing, !old.mayBeReplaced(by: new) { throw Failure.duplicate }
            if old == nil, valid.count >= limit { throw Failure.tooMany }
            if !isTidy, !Family.isBehindWall { try tidy(shelf) }
            guard try shelf.put(try new.bytes(), descriptors) else {
                throw SystemError("sendmsg", .noBufferSpace, on: "the names of the service")
            }
            if let old { try tidy(shelf, without: old.serial) }
        }
    }

    static func find(_ kind: HandleNote.Kind, _ name: String) throws(Failure) -> ArrivedHandle {
        try locked { shelf in
            guard let (entry, packet) = try entries(shelf).valid.first(where: { $0.entry.key == .init(kind: kind, name: name) })
            else { throw Failure.unknown }
            if Family.isBehindWall { throw Failure.refused(.isBehindWall) }
            return try handle(entry, packet, shelf)
        }
    }

    /// All of a kind; those that cannot be had are left out.
    static func all(_ kind: HandleNote.Kind) throws(Failure) -> [ArrivedHandle] {
        try locked { shelf in
            if Family.isBehindWall { throw Failure.refused(.isBehindWall) }
            return try entries(shelf).valid.filter { $0.entry.key.kind == kind }.compactMap { entry, packet in
                do { return try handle(entry, packet, shelf) } catch is Failure { return nil }
            }
        }
    }

    private static func handle(
        _ entry: NameEntry, _ packet: ParkedDescriptors.Packet, _ shelf: ParkedDescriptors
    ) throws -> ArrivedHandle {
        guard let numbers = try shelf.descriptors(of: packet, atMost: NameEntry.mostDescriptors) else {
            throw Failure.unknown
        }
        let handle = ArrivedHandle(entry.note, owning: numbers)
        guard numbers.count == NameEntry.descriptorCount(of: entry.note.kind) else {
            throw Failure.refused(HandleRefusal("\(numbers.count) descriptors"))
        }
        return handle
    }

    static func names(_ kind: HandleNote.Kind) throws(Failure) -> [String] {
        try locked { shelf in
            try entries(shelf).valid.map(\.entry.key).filter { $0.kind == kind }.map(\.name)
        }
    }

    /// Takes all names of a memory away.
    static func remove(_ kind: HandleNote.Kind, memory: Int32) throws(Failure) {
        try locked { shelf in
            let identity = NameEntry.memoryText(memory)
            for (entry, _) in try entries(shelf).valid where entry.key.kind == kind && entry.memory == identity {
                try tidy(shelf, without: entry.serial)
            }
        }
    }
}
