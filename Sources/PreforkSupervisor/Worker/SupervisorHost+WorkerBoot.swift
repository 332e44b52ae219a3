// The first steps of a worker that concern its host.

import PreforkSystem

extension SupervisorHost {
    /// Runs in a new worker, before its hooks: its place, its rights, its title, the answer to a request for its stack.
    ///
    /// - Parameters:
    ///   - dumps: where it leaves its stack when it is asked for it.
    ///   - doorbell: what it rings then.
    /// - Throws: what makes it unfit to serve.
    func becomeWorker(_ info: WorkerInfo, dumps: UnsafeMutableRawBufferPointer, doorbell: Int32) throws {
        if settings.setsTitles { WorkerTitle(info: info, service: settings.service).set("booting") }
        try settings.affinity.apply(worker: info.taskID)
        let dumpsStacks = settings.hangs != nil || settings.slowRequest != nil
        if dumpsStacks, dumps.count >= StackDump.byteCount, let area = dumps.baseAddress {
            try StackDump.install(into: area, doorbell: doorbell)
        }
        try rights.giveUp()
    }
}

/// A worker's line in ps(1).
///
/// A class: to copy an optional struct of such fields, each new worker would have the runtime look up its type by name.
final class WorkerTitle: Sendable {
    let info: WorkerInfo
    let service: String?

    init(info: WorkerInfo, service: String?) {
        self.info = info
        self.service = service
    }

    func set(_ state: String) {
        let role = ProcessTitleText.Role.worker(taskID: info.taskID, generation: info.generation)
        let text = ProcessTitleText(role: role, state: state, service: service)
        ProcessTitle.set(text.title, name: text.name)
    }
}
