// The open descriptors of a supervisor, for the table of descriptors.

import PreforkSystem

extension Supervisor: DescriptorHolder {
    var heldDescriptors: [HeldDescriptor] {
        var held = [
            HeldDescriptor(.epoll, epoll.descriptor.number), HeldDescriptor(.signals, signals.descriptor.number),
            HeldDescriptor(.lifeline, lifeline.number), HeldDescriptor(.lifelineHold, lifelineHold.number),
            HeldDescriptor(.workerLines, scoreboard.file.descriptor.number),
        ]
        held += rollback?.heldDescriptors ?? []
        if let number = outOfMemory.descriptor { held.append(HeldDescriptor(.memoryEvents, number)) }
        if let trial = upgrade?.trial.pidfdNumber { held.append(HeldDescriptor(.pidfd, trial)) }
        held.append(HeldDescriptor(.supervisorWords, scoreboard.orders.descriptor))
        if let onceOrders {
            held.append(HeldDescriptor(.supervisorWords, onceOrders.descriptor))
            held.append(HeldDescriptor(.onceBell, onceOrders.bell.descriptor.number))
        }
        held += bells.numbers.map { HeldDescriptor(.otherDoorbell, $0) }
        // Not among the host's own: a child keeps only what its parent itself names.
        if let number = host.accessLogNumber { held.append(HeldDescriptor(.accessLog, number)) }
        held += accessLogRoutes.numbers.map { HeldDescriptor(.accessLogRoute, $0) }
        held += handoverRoutes.numbers.map { HeldDescriptor(.linkRoute, $0) }
        // Doorbells of workers that are not adopted yet.
        held += (inheritance?.doorbells ?? []).map { HeldDescriptor(.otherDoorbell, $0) }
        held += (inheritance?.outputs ?? []).map { HeldDescriptor(.capturedOutput, $0) }
        held += (workers.pidfds + spares.pidfds).map { HeldDescriptor(.pidfd, $0) }
        held += spares.pipes.map { HeldDescriptor(.otherSpareOrders, $0) }
        held += servers?.heldDescriptors ?? []
        return held
    }
}

extension SupervisorServers {
    fileprivate var heldDescriptors: [HeldDescriptor] {
        (control?.descriptors ?? []).map { HeldDescriptor(.controlSocket, $0) }
            + (metrics?.descriptors ?? []).map { HeldDescriptor(.metricsSocket, $0) }
    }
}
