// Handing a queue over to the next image of its program.

import PreforkStore
import PreforkSystem

extension QueueTable {
    /// The queue that the previous image has left under this name, or a new one.
    ///
    /// - Returns: also its name among what the next image is left.
    static func makeOrTake(
        _ form: QueueForm, name: String, travels: Bool?
    ) throws(SystemError) -> (QueueTable, offer: UInt64) {
        let claim = Handover.claim("queue", name: name)
        let reach = MemoryReach(claim, travels: travels)
        if let left = claim.left, let objection = form.objection(toText: left.text) {
            Handover.refuse(claim, objection)
        } else if let left = claim.left, !Handover.isTrial {
            let table = try QueueTable(form, adopting: left.descriptors, isForeign: reach == .anyProcess)
            if Handover.isAfterEnd { table.leaveSeatOfImageBefore() }
            return offer(table, claim, reach, isTaken: true)
        }
        // A trial's queue is a dead end: what the trial sends and receives does not concern the pool.
        let table = try QueueTable(
            cellCount: form.cellCount, attempts: form.attempts, messageLimit: form.messageLimit,
            isHandedOver: reach == .images, travels: reach == .anyProcess)
        return offer(table, claim, reach, isTaken: false)
    }

    private static func offer(
        _ table: QueueTable, _ claim: HandoverClaim, _ reach: MemoryReach, isTaken: Bool
    ) -> (QueueTable, offer: UInt64) {
        let descriptors = table.descriptors
        let id = Handover.offer(claim, descriptors: descriptors, text: table.form.text, isTaken: isTaken) {
            [weak table] isLeaving in
            if let memory = descriptors.first, reach == .images { MemoryFile.keepWhole(memory, !isLeaving) }
            if isLeaving { table?.leaveSeat() }
        }
        return (table, id)
    }
}
