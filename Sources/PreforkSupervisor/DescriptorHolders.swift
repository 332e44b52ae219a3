// Who has which of the supervisor's descriptors open, and what a child closes of them.

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
    /// Words that are mapped for writing, and which no child may write.
    var orders: SupervisorOrders? { get }
}

/// Every holder of this process. A child asks all of them, also those of another manager or supervisor in the same
/// process: what any of them has open and the table does not give to the child is closed, whatever was opened first.
package enum DescriptorHolders {
    private struct Entry: @unchecked Sendable {
        // Sendable: holders are asked only around a fork, on the only thread of the process.
        weak var holder: (any DescriptorHolder)?
    }

    /// What a child has kept: its own children close it.
    private final class Seat: DescriptorHolder {
        var heldDescriptors: [HeldDescriptor]
        let orders: SupervisorOrders? = nil

        init(_ descriptors: [HeldDescriptor]) { heldDescriptors = descriptors }
    }

    private static let entries = Mutex<[Entry]>([])

    static func add(_ holder: any DescriptorHolder) {
        let entry = Entry(holder: holder)
        entries.withLock { entries in
            entries.removeAll { $0.holder == nil }
            entries.append(entry)
        }
    }

    /// All descriptors of the table that this process has open.
    package static var all: [HeldDescriptor] {
        living.flatMap(\.heldDescriptors) + Handover.unclaimed.map { HeldDescriptor(.handover, $0) }
    }

    private static var living: [any DescriptorHolder] { entries.withLock { $0 }.compactMap(\.holder) }

    /// What a child does with the descriptors that it inherits, decided before the fork: in the child each object that is
    /// looked at costs a page of its own.
    final class Leaving {
        /// Whose descriptors are closed in the child. None of them is ever freed there: the numbers of their descriptors
        /// will belong to others.
        fileprivate let holders: [any DescriptorHolder]
        /// Words that the child may only read.
        let orders: [SupervisorOrders]
        fileprivate(set) var kept: [HeldDescriptor] = []
        fileprivate(set) var closed: [Int32]
        /// Of those to close, what `Handover` and `Listener` know.
        fileprivate(set) var offered: [Int32]

        fileprivate init(_ holders: [any DescriptorHolder], unclaimed: [Int32]) {
            self.holders = holders
            orders = holders.compactMap(\.orders)
            closed = unclaimed
            offered = unclaimed
        }
    }

    /// - Parameter parent: the child's supervisor; nothing is kept of other holders.
    static func prepare(_ kind: ProcessKind, of parent: any DescriptorHolder) -> Leaving {
        let holders = living
        let leaving = Leaving(holders, unclaimed: Handover.unclaimed)
        for holder in holders {
            let isParent = holder === parent
            for held in holder.heldDescriptors {
                if isParent, DescriptorTable.keeps(held.role, kind) {
                    leaving.kept.append(held)
                } else {
                    leaving.closed.append(held.number)
                    if DescriptorTable.isOffered(held.role) { leaving.offered.append(held.number) }
                }
            }
        }
        return leaving
    }

    /// In a new child, before any other code: this package's own lists are those of the child from here on.
    ///
    /// - Returns: the descriptors to close.
    static func leave(_ leaving: Leaving) -> [Int32] {
        _ = Unmanaged.passRetained(leaving)
        if !leaving.offered.isEmpty {
            // A nested supervisor must neither watch these listeners nor leave these numbers to its next image.
            Handover.forget(leaving.offered)
            Listener.forget(leaving.offered)
        }
        let seat = Seat(leaving.kept)
        _ = Unmanaged.passRetained(seat)
        let entry = Entry(holder: seat)
        entries.withLock { $0 = [entry] }
        return leaving.closed
    }

    /// In a new child: what it has opened for its own supervision is nothing for its children.
    static func keep(_ descriptor: HeldDescriptor) {
        guard descriptor.number >= 0 else { return }
        for holder in living { (holder as? Seat)?.heldDescriptors.append(descriptor) }
    }
}
