// SIGCHLD, for systems without pidfds.

import CPrefork
import Glibc

/// SIGCHLD as an event counter. A process has one: the signal's action is a global setting, which is why pidfds are
/// preferred (tornado.process documents the same). The handler that was there before is still called.
package final class ChildSignal: Sendable {
    package let counter: EventCounter

    package init() throws(SystemError) {
        let counter = try EventCounter()
        let number = counter.descriptor.number
        try systemCall("sigaction", on: "SIGCHLD") { cprefork_watch_child_signal(number) }
        self.counter = counter
    }

    deinit {
        cprefork_unwatch_child_signal()
    }
}
