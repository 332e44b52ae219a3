// The loop as the executor of the whole process: what holds with every compiler.

import PreforkSystem

/// How a loop becomes the executor of its process.
///
/// Swift has no public API for that. Its runtime has SPI, which differs between versions. Each version that this package
/// supports has one file beside this one, whose extension of `ProcessExecutor` states these members again. With any
/// other compiler, or without the package trait `ProcessExecutor`, the defaults below hold: tasks get the loop as their
/// preferred executor.
protocol ProcessExecutorSupport {
    /// Whether this compiler's file is part of the build.
    static var isSupported: Bool { get }
    /// Makes the runtime give all jobs of this process to `loop`: those of `Task {}`, `Task.sleep`, default actors and
    /// the main actor. Called once in a process, by its only thread, before it uses concurrency.
    static func install(_ loop: EventLoop)
    /// Makes the witness tables that `install` needs, once for all children.
    static func prepare()
    /// Runs a job that came in as the main actor's.
    static func runOnMainActor(_ job: UnownedJob, of loop: EventLoop)
}

extension ProcessExecutorSupport {
    static var isSupported: Bool { false }

    static func install(_ loop: EventLoop) {}

    static func prepare() {}

    /// Without a main executor no job comes in as the main actor's.
    static func runOnMainActor(_ job: UnownedJob, of loop: EventLoop) {
        job.runSynchronously(on: loop.asUnownedTaskExecutor())
    }
}

/// Whether a loop of this process can be, and is, the executor of the whole process.
package enum ProcessExecutor: ProcessExecutorSupport {
    // Proof: written once, by the only thread of a process, before it uses concurrency, and then only read.
    nonisolated(unsafe) fileprivate static var wasInstalled = false

    /// Why no loop can become the executor of its process. Nil if one can.
    package static var absence: String? {
        #if ProcessExecutor
            if !isSupported { return "Prefork does not support this version of Swift there" }
            if hasExecutorHooks { return "a library has taken over the executors of Swift" }
            return nil
        #else
            return "this program was built without the package trait ProcessExecutor"
        #endif
    }

    /// Whether a loop is the executor of this process, and nothing has taken its jobs away since.
    package static var isInstalled: Bool { wasInstalled && !hasExecutorHooks }
}

extension EventLoop {
    /// Makes this loop run every task of the process: `Task {}`, `Task.sleep`, default actors, the main actor. Where
    /// that cannot be had, nothing changes (see `ProcessExecutor.absence`).
    ///
    /// Must come before any code in this process uses concurrency. A process forked before that counts anew.
    package func becomeProcessExecutor() {
        guard ProcessExecutor.absence == nil else { return }
        isProcessExecutor = true
        ProcessExecutor.wasInstalled = true
        ProcessExecutor.install(self)
    }
}
