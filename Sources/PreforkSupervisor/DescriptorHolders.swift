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
        // Made before the first fork, once for all children.
        _ = DescriptorTable.rows
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

    static var orders: [SupervisorOrders] { living.compactMap(\.orders) }

    /// In a new child, before any other code: decides what it keeps. From here on no holder of the parent is ever freed
    /// in this process: the numbers of its descriptors will belong to others.
    ///
    /// - Parameter parent: the child's supervisor; nothing is kept of other holders.
    /// - Returns: the descriptors to close.
    static func leave(as kind: ProcessKind, of parent: any DescriptorHolder) -> [Int32] {
        let roles = DescriptorTable.roles(keptBy: kind)
        var kept: [HeldDescriptor] = []
        var closed = Handover.unclaimed
        var offered = closed
        for holder in living {
            _ = Unmanaged.passRetained(holder as AnyObject)
            let isParent = holder === parent
            for held in holder.heldDescriptors {
                if isParent, roles.contains(held.role) {
                    kept.append(held)
                } else {
                    closed.append(held.number)
                    if DescriptorTable.offered.contains(held.role) { offered.append(held.number) }
                }
            }
        }
        // A nested supervisor must neither watch these listeners nor leave these numbers to its next image.
        Handover.forget(offered)
        Listener.forget(offered)
        let seat = Seat(kept)
        _ = Unmanaged.passRetained(seat)
        let entry = Entry(holder: seat)
        entries.withLock { $0 = [entry] }
        return closed
    }

    /// In a new child: what it has opened for its own supervision is nothing for its children.
    static func keep(_ descriptor: HeldDescriptor) {
        guard descriptor.number >= 0 else { return }
        for case let seat as Seat in living { seat.heldDescriptors.append(descriptor) }
    }
}
