// Facts about this process that higher modules need.

import CPrefork
import Glibc

package enum CurrentProcess {
    package static var pid: Int32 { getpid() }

    /// An environment variable, or nil if it is not set.
    package static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Where relative paths begin.
    package static func workingDirectory() throws(SystemError) -> [UInt8] {
        guard let path = getcwd(nil, 0) else { throw SystemError("getcwd", .current) }
        defer { free(path) }
        return [UInt8](UnsafeRawBufferPointer(start: path, count: strlen(path)))
    }

    /// Children that end stay to be collected: with SIGCHLD ignored the kernel would drop their status (wait(2)).
    /// SIGCHLD then reports ends only. Otherwise a child could have itself stopped and continued without end
    /// (SA_NOCLDSTOP).
    package static func keepStatusOfChildren() {
        var action = sigaction()
        action.sa_flags = SA_NOCLDSTOP
        sigaction(SIGCHLD, &action, nil)
    }

    /// Keeps ended children until they are collected, where SIGCHLD is ignored or SA_NOCLDWAIT is set: inherited from
    /// the process that started this program, or set by its code. An existing handler stays.
    ///
    /// Called before each start of a program, because any code may change the signal's action at any time.
    package static func collectChildren() {
        var action = sigaction()
        guard sigaction(SIGCHLD, nil, &action) == 0 else { return }
        let isIgnored = action.sa_flags & SA_SIGINFO == 0 && cprefork_is_ignored(&action)
        guard isIgnored || action.sa_flags & SA_NOCLDWAIT != 0 else { return }
        action.sa_flags &= ~SA_NOCLDWAIT
        if isIgnored { action.__sigaction_handler.sa_handler = nil }
        sigaction(SIGCHLD, &action, nil)
    }

    /// Ends this process as exit(3) does: its atexit handlers run.
    package static func exit(code: Int32) -> Never {
        Glibc.exit(code)
    }
}
