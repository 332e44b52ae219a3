// The calling thread: which event loop runs on it, and how a new one is started.

import CPrefork
import Glibc

/// A word of the calling thread: the object whose loop runs on it.
package enum ThreadLoop {
    package static var current: UnsafeMutableRawPointer? {
        get { cprefork_thread_loop() }
        set { cprefork_set_thread_loop(newValue) }
    }
}

/// Starts a detached thread with every signal blocked: only threads that unblock signals get them.
package func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    pthread_detach(try newThread(body))
}

private func newThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) -> pthread_t {
    final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let context = Unmanaged.passRetained(Body(body))
    let mask = SignalMask.block(.all)
    defer { SignalMask.restore(mask) }
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { context in
            // What pthread_create was given, three lines below.
            Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
            return nil
        }, context.toOpaque())
    guard code == 0 else {
        context.release()
        throw SystemError("pthread_create", Errno(rawValue: code))
    }
    return thread
}

/// A thread whose end another thread waits for.
package struct WaitedThread: Sendable {
    private let thread: pthread_t

    /// As `startThread`.
    package init(_ body: @escaping @Sendable () -> Void) throws(SystemError) { thread = try newThread(body) }

    /// Waits until the thread has ended and the kernel counts it no more. Not again after true.
    ///
    /// - Returns: false when it has not ended in that time.
    package func wait(atMost limit: Duration) -> Bool {
        let count = threadCount()
        let deadline = MonotonicInstant.now + limit
        guard cprefork_join_thread(thread, deadline.nanoseconds) == 0 else { return false }
        // It wakes its waiter a little before the kernel takes it off the list (exit(2)).
        while threadCount() >= count, count > 1, MonotonicInstant.now < deadline { usleep(100) }
        return true
    }
}

/// A number that differs between the living threads of this process.
package var currentThreadNumber: UInt { UInt(pthread_self()) }

/// Whether work waits for the main thread to turn its queue: a `Task` of the main actor that was made at the top level
/// of a program, for example.
package var hasWorkForMainQueue: Bool { cprefork_main_queue_has_work() }

/// Whether a library takes the jobs of all of Swift's tasks, or of the main actor, before any executor gets them
/// (`swift_task_enqueueGlobal_hook`, `swift_task_enqueueMainExecutor_hook` of the concurrency runtime).
package var hasExecutorHooks: Bool { cprefork_has_executor_hooks() }
