// The holders of the supervisor's descriptors, and the descriptors that a child closes.

import PreforkSystem
import Synchronization

/// An open descriptor of this package, and what it is for.
package struct HeldDescriptor: Hashable, Sendable {
    package let role: DescriptorRole
    package let number: Int32

    package init(_ role: DescriptorRole, _ number: Int32) {
        self.role = role
        self.number = number
    }
}

/// An object of the supervisor's process that has descriptors of the table open.
protocol DescriptorHolder: AnyObject {
    /// All that are open now.
    var heldDescriptors: [HeldDescriptor] { get }
}

/// Every holder of this process. A child asks all of them, also those of another manager or supervisor in the same
/// process: whatever any of them has open, and the table does not give to the child, is closed, in any order of
/// opening.
package enum DescriptorHolders {
    fileprivate struct Entry: @unchecked Sendable {
        // Sendable: holders are asked only around a fork, on the only thread of the process.
        weak var holder: (any DescriptorHolder)?
    }

    /// What a child has kept: its own children close it.
    fileprivate final class Seat: DescriptorHolder {
        var heldDescriptors: [HeldDescriptor]

        init(_ descriptors: [HeldDescriptor]) { heldDescriptors = descriptors }
    }

    /// An object, so that a child changes lists by one store.
    fileprivate final class List: @unchecked Sendable {
        // Sendable: used only within the lock of `list`.
        var entries: [Entry]
        /// Of a child.
        let seat: Seat?

        init(_ entries: [Entry], seat: Seat? = nil) {
            self.entries = entries
            self.seat = seat
        }
    }

    private static let list = Mutex(List([]))

    static func add(_ holder: any DescriptorHolder) {
        let entry = Entry(holder: holder)
        list.withLock { list in
            list.entries.removeAll { $0.holder == nil || $0.holder === holder }
            list.entries.append(entry)
        }
    }

    /// All descriptors of the table that this process has open.
    package static var all: [HeldDescriptor] {
        living.flatMap(\.heldDescriptors) + Handover.unclaimed.map { HeldDescriptor(.handover, $0) }
    }

    private static var living: [any DescriptorHolder] { list.withLock { $0.entries }.compactMap(\.holder) }

    /// What a child does with the descriptors that it inherits, decided before the fork: in the child each object that
    /// is read, and each one that is made, costs a page.
    final class Leaving {
        /// The objects whose descriptors are closed in the child. They are leaked there on purpose: a deinit would
        /// close descriptor numbers and unmap addresses that the child may have reused.
        fileprivate let holders: [any DescriptorHolder]
        /// What takes the place of the parent's list.
        fileprivate let list: List
        /// Of those to close, what `Handover` and `Listener` know.
        fileprivate let offered: [Int32]
        /// All that the child closes, in order.
        let closed: [ClosedRange<Int32>]

        fileprivate init(_ holders: [any DescriptorHolder], kept: [HeldDescriptor], closed: [Int32], offered: [Int32]) {
            self.holders = holders
            self.offered = offered
            self.closed = unbrokenRuns(of: closed)
            let seat = Seat(kept)
            // For its doorbell.
            seat.heldDescriptors.reserveCapacity(kept.count + 1)
            list = List([Entry(holder: seat)], seat: seat)
        }
    }

    /// - Parameters:
    ///   - parent: the child's supervisor. Descriptors of other holders are not kept.
    ///   - bell: the child's own, which it closes itself.
    static func prepare(_ kind: ProcessKind, of parent: any DescriptorHolder, bell: Doorbell?) -> Leaving {
        Listener.prepareForSharing()
        let holders = living
        let unclaimed = Handover.unclaimed
        let ear = bell?.number
        var (kept, closed, offered) = ([HeldDescriptor](), unclaimed, unclaimed)
        for holder in holders {
            let isParent = holder === parent
            for held in holder.heldDescriptors where held.number != ear {
                if isParent, DescriptorTable.keeps(held.role, kind) {
                    kept.append(held)
                } else {
                    closed.append(held.number)
                    if DescriptorTable.isOffered(held.role) { offered.append(held.number) }
                }
            }
        }
        return Leaving(holders, kept: kept, closed: closed, offered: offered)
    }

    /// In a new child, before any other code: this package's own lists describe the child from here on.
    static func leave(_ leaving: Leaving) {
        _ = Unmanaged.passRetained(leaving)
        if !leaving.offered.isEmpty {
            // A nested supervisor must neither watch these listeners nor leave these numbers to its next image.
            Handover.forget(leaving.offered)
            Listener.forget(leaving.offered)
        }
        list.withLock { list in
            // Freeing it would write to each of its objects.
            _ = Unmanaged.passRetained(list)
            list = leaving.list
        }
    }

    /// In a child: it has closed that descriptor.
    static func forget(_ number: Int32) {
        list.withLock { $0.seat?.heldDescriptors.removeAll { $0.number == number } }
    }

    /// In a new child: what it has opened for its own supervision is nothing for its children.
    static func keep(_ descriptor: HeldDescriptor) {
        guard descriptor.number >= 0 else { return }
        list.withLock { $0.seat?.heldDescriptors.append(descriptor) }
    }
}
