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
        // What a child will do, once here before the first fork: the types and tables that it needs are then made, which
        // costs half a millisecond, and not by each child anew.
        _ = (plan(as: .worker, of: holder), orders, seats)
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
        for holder in living { _ = Unmanaged.passRetained(holder as AnyObject) }
        let plan = plan(as: kind, of: parent)
        // A nested supervisor must neither watch these listeners nor leave these numbers to its next image.
        Handover.forget(plan.offered)
        Listener.forget(plan.offered)
        let seat = Seat(plan.kept)
        _ = Unmanaged.passRetained(seat)
        let entry = Entry(holder: seat)
        entries.withLock { $0 = [entry] }
        return plan.closed
    }

    private struct Plan {
        var kept: [HeldDescriptor] = []
        var closed: [Int32]
        /// Of those to close, what `Handover` and `Listener` know.
        var offered: [Int32]
    }

    private static func plan(as kind: ProcessKind, of parent: any DescriptorHolder) -> Plan {
        let roles = DescriptorTable.roles(keptBy: kind)
        let unclaimed = Handover.unclaimed
        var plan = Plan(closed: unclaimed, offered: unclaimed)
        for holder in living {
            let isParent = holder === parent
            for held in holder.heldDescriptors {
                if isParent, roles.contains(held.role) {
                    plan.kept.append(held)
                } else {
                    plan.closed.append(held.number)
                    if DescriptorTable.offered.contains(held.role) { plan.offered.append(held.number) }
                }
            }
        }
        return plan
    }

    private static var seats: [Seat] { living.compactMap { $0 as? Seat } }

    /// In a new child: what it has opened for its own supervision is nothing for its children.
    static func keep(_ descriptor: HeldDescriptor) {
        guard descriptor.number >= 0 else { return }
        for seat in seats { seat.heldDescriptors.append(descriptor) }
    }
}
