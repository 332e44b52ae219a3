// The fork of a worker or managed process, on both sides, up to the child's first own code.

import PreforkSystem

/// A child that is about to be forked.
struct SupervisedChild {
    let kind: ProcessKind
    /// The owner of its output, with its name.
    let owner: OutputOwner
    let spawn: UInt64
    /// Its place among the sleepers of a store. See `ProcessBells`.
    let place: Int
    /// Its doorbell. If nil, no descriptor was left for one.
    let bell: Doorbell?
    /// Whether it runs as another user.
    let isWalled: Bool
    /// Where it writes what it knows of its crash.
    let crashes: UnsafeMutableRawPointer?

    /// On which side of the fork the caller is.
    enum Side {
        case parent(child: Int32)
        /// All signals are blocked: only the child's own code knows when it can take them.
        ///
        /// - doorbell: what `Doorbell.ring` takes.
        /// - maskBefore: the signals that were blocked in the parent.
        case child(doorbell: Int32, maskBefore: SignalSet)
    }

    /// - Parameters:
    ///   - parent: what supervises it.
    ///   - output: captures what it writes. If nil, it writes where its parent does.
    /// - Throws: if the kernel refuses. Then nothing is left of the fork but the doorbell.
    func fork(by parent: some DescriptorHolder, output: OutputCollector?) throws(SystemError) -> Side {
        let pid = CurrentProcess.pid
        let metrics = MetricsHub.current
        let metricsLine = metrics?.takeLine(for: owner.name)
        let writing = output?.add(spawn, of: owner, isWalled ? .socket : .pipe, at: .now)
        let leaving = DescriptorHolders.prepare(kind, of: parent, bell: bell)
        let mask = SignalMask.block(.all)
        do throws(SystemError) {
            switch try forkProcess() {
            case .parent(let child):
                SignalMask.restore(mask)
                if let metricsLine { metrics?.began(metricsLine, pid: child) }
                output?.began(spawn, pid: child, writing)
                return .parent(child: child)
            case .child:
                return .child(
                    doorbell: enter(leaving, of: pid, output: writing) { () throws(SystemError) in
                        if let metrics { try metrics.enterChild(metricsLine) }
                    }, maskBefore: mask)
            }
        } catch {
            SignalMask.restore(mask)
            if let metricsLine { metrics?.cancel(metricsLine) }
            output?.cancel(spawn, writing)
            throw error
        }
    }

    /// Makes a child of a copy of the supervisor: it gives up what it must not have of it, and keeps its own end.
    /// Ends the process when that cannot be done.
    ///
    /// - Parameters:
    ///   - leaving: what it does with the descriptors that it has inherited.
    ///   - pid: the process ID of its parent.
    ///   - output: where it writes from here on. If nil, where its parent does.
    ///   - takePlace: has it count its metrics in memory of its own.
    /// - Returns: what `Doorbell.ring` takes.
    private func enter(
        _ leaving: DescriptorHolders.Leaving, of pid: Int32, output: OutputCollector.Writing?,
        takePlace: () throws(SystemError) -> Void
    ) -> Int32 {
        do throws(SystemError) {
            try output?.redirect()
            try takePlace()
            DescriptorHolders.leave(leaving)
            // Closed first: the supervisor may have had no descriptor left.
            guard becomeChild(of: pid, closing: leaving.closed) else { exitChild(code: 0) }
            let buttons = try bell?.attach() ?? Doorbell.Buttons()
            DescriptorHolders.keep(HeldDescriptor(.doorbell, buttons.news))
            DescriptorHolders.keep(HeldDescriptor(.doorbell, buttons.crash))
            CrashMark.arm(crashes, button: buttons.crash)
            Family.join()
            ProcessBells.takePlace(place)
            return buttons.news
        } catch {
            StandardErrorLines.say("error", "\(owner.name) cannot start: \(error)", by: "end")
            exitChild(code: 71)
        }
    }
}
