// The first steps of a new worker or managed process, before any code of the program's own.

import PreforkSystem

enum SupervisedChild {
    /// Makes a child of a copy of the supervisor: it gives up what it must not have of it, and keeps its own end.
    /// Ends the process when that cannot be done.
    ///
    /// - Parameters:
    ///   - name: for the message.
    ///   - leaving: what it does with the descriptors that it has inherited.
    ///   - pid: the process ID of its parent.
    ///   - output: where it writes from here on. If nil, where its parent does.
    ///   - crashes: where it writes what it knows of its crash.
    /// - Returns: what `Doorbell.ring` takes.
    static func enter(
        _ name: String, _ leaving: DescriptorHolders.Leaving, of pid: Int32, bell: Doorbell?,
        output: CapturedOutput.Writing?, crashes: UnsafeMutableRawPointer?
    ) -> Int32 {
        do throws(SystemError) {
            try output?.redirect()
            DescriptorHolders.leave(leaving)
            // Closed first: the supervisor may have had no descriptor left.
            guard becomeChild(of: pid, closing: leaving.closed) else { exitChild(code: 0) }
            let buttons = try bell?.attach() ?? Doorbell.Buttons()
            DescriptorHolders.keep(HeldDescriptor(.doorbell, buttons.news))
            DescriptorHolders.keep(HeldDescriptor(.doorbell, buttons.crash))
            CrashMark.arm(crashes, button: buttons.crash)
            Family.join()
            return buttons.news
        } catch {
            StandardErrorLines.say("error", "\(name) cannot start: \(error)", by: "end")
            exitChild(code: 71)
        }
    }
}
