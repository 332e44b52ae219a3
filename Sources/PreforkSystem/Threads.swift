// The calling thread: which event loop runs on it, and how a new one is started.

import CPrefork
import Glibc

/// One word of the calling thread: the object whose loop runs on it.
package enum ThreadLoop {
    package static var current: UnsafeMutableRawPointer? {
        get { cprefork_thread_loop() }
        set { cprefork_set_thread_loop(newValue) }
    }
}

/// Starts a detached thread with every signal blocked: signals are for the threads that ask for them.
package func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
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
    pthread_detach(thread)
}

/// A number that differs between the living threads of this process.
package var currentThreadNumber: UInt { UInt(pthread_self()) }
