// More or fewer workers, by an operator's word or by the load.

import PreforkSystem

extension Pool {
    /// Makes the pool larger or smaller. Its highest task IDs go first.
    mutating func scale(to count: Int, _ cause: ScalingCause) {
        let before = target
        if case .asked = cause {
            // Where the pool scales itself, the operator's number is one among others.
            scaledTo = count == configured || settings.scaling.workers != nil ? nil : count
            sizeAfterReload = nil
        }
        if count == before { return }
        actions.append(.report(.scaled(from: before, to: count, cause)))
        // Counted along: to count anew for each of ten thousand would hold the supervisor up for seconds.
        var present = before
        for index in slots.indices.reversed() where present > count && !slots[index].isRetired {
            if let worker = slots[index].worker { lives[worker.spawn] = nil }
            actions += slots[index].retire(drainDeadline: drainDeadline)
            present -= 1
        }
        for index in slots.indices where present < count && slots[index].isRetired {
            slots[index].isRetired = false
            slots[index].refill(generation, at: now)
            present += 1
        }
        while present < count {
            slots.append(Slot(taskID: slots.count, state: .backingOff(until: now), generation: generation))
            present += 1
        }
        tick()
    }

    /// An upgrade to a program with fewer workers: only when its own serve, the others go.
    mutating func shrinkAfterReload() {
        guard let size = sizeAfterReload, phase == .running, reload == nil || reload?.probationEnd != nil else {
            return
        }
        sizeAfterReload = nil
        if size < target { scale(to: size, .program) }
    }

    mutating func removeRetired() {
        while let last = slots.last, last.isRetired, last.isFinal { slots.removeLast() }
    }
}
