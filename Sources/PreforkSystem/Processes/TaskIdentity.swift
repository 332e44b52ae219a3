// This process's identity as a worker. Set once, in the child, before any other code runs there.

/// Task ID and generation of a worker process.
package struct TaskIdentity: Equatable, Sendable {
    package var taskID: Int
    package var generation: Int
    package var supervisor: Int32

    package init(taskID: Int, generation: Int, supervisor: Int32) {
        self.taskID = taskID
        self.generation = generation
        self.supervisor = supervisor
    }

    // Proof: written once by the only thread of a freshly forked child, before it runs any code of the program.
    package nonisolated(unsafe) static var current: TaskIdentity?
}
