// SIGCHLD, for systems without pidfds.

import CPrefork
import Glibc

/// SIGCHLD as a bell. A process has one: the signal's action is a global setting, which is why pidfds are
/// preferred (tornado.process documents the same). The handler that was there before is still called.
///
/// The bell is made once and never closed: a handler that runs in another thread may be about to ring it.
package final class ChildSignal: Sendable {
    package let bell: Bell

    package init() throws(SystemError) {
        bell = try Bell()
    }

    /// Rings the bell at each SIGCHLD from now on.
    package func listen() throws(SystemError) {
        try systemCall("sigaction", on: "SIGCHLD") { cprefork_watch_child_signal(bell.descriptor.number) }
    }

    /// Back to what SIGCHLD did before.
    package func stopListening() {
        cprefork_unwatch_child_signal()
    }
}
