// Titles of the processes of a pool in ps(1).

import PreforkSystem

/// The title of one process of a pool, as text.
package struct ProcessTitleText: Hashable, Sendable {
    package enum Role: Hashable, Sendable {
        case supervisor(workers: Int)
        case worker(taskID: Int, generation: Int)
        case managed(name: String, generation: Int)
        /// A spare worker, which has no slot yet.
        case spare(generation: Int)
    }

    package var role: Role
    /// One or two words: `ready`, `draining`, `reloading 3/8`.
    package var state: String
    /// The service's own name, or nil.
    package var service: String?

    package init(role: Role, state: String, service: String? = nil) {
        self.role = role
        self.state = state
        self.service = service
    }

    /// `prefork: worker 3 g2 ready [shop]`.
    package var title: String {
        let who =
            switch role {
            case .supervisor(let workers): "supervisor of \(workers)"
            case .worker(let taskID, let generation): "worker \(taskID) g\(generation)"
            case .managed(let name, let generation): "\(name) g\(generation)"
            case .spare(let generation): "spare g\(generation)"
            }
        return "prefork: \(who) \(state)" + (service.map { " [\($0)]" } ?? "")
    }

    /// For top(1), 15 bytes: `worker 3 g2`.
    package var name: String {
        switch role {
        case .supervisor: "supervisor"
        case .worker(let taskID, let generation): String("worker \(taskID) g\(generation)".prefix(15))
        case .managed(let name, _): String(name.prefix(15))
        case .spare(let generation): String("spare g\(generation)".prefix(15))
        }
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
