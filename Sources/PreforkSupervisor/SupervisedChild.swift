// The first steps of a new worker or managed process, before any code of the program's own.

import PreforkSystem

enum SupervisedChild {
    /// Makes a child of a copy of the supervisor: it gives up what it must not have of it, and keeps its own end.
    /// Ends the process when that cannot be done.
    ///
    /// - Parameters:
    ///   - name: for the message.
    ///   - unneeded: the supervisor's descriptors. The doorbell's own may be among them.
    ///   - orders: words of the supervisor that are mapped here, and which this process must not write.
    /// - Returns: what `Doorbell.ring` takes.
    static func enter(
        _ name: String, of parent: Int32, closing unneeded: [Int32], bell: Doorbell?, reading orders: [SupervisorOrders]
    ) -> Int32 {
        do throws(SystemError) {
            for words in orders { try words.becomeReadOnly() }
            // Closed first: the supervisor may have had no descriptor left.
            let ear = bell?.number
            guard becomeChild(of: parent, closing: unneeded.filter { $0 != ear }) else { exitChild(code: 0) }
            return try bell?.attach() ?? -1
        } catch {
            _ = writeToStandardErrorWithoutBlocking("prefork: \(name) cannot start: \(error)\n")
            exitChild(code: 71)
        }
    }
}
