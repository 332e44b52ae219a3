// /proc/PID/oom_score_adj: how early the kernel's out-of-memory killer chooses a process.

import CPrefork
import Glibc

/// This process's share in the kernel's choice when memory is used up (proc_pid_oom_score_adj(5)): -1000 is never, 1000
/// is first. A forked child inherits it.
package enum OutOfMemoryScore {
    package static let range = -1000...1000

    private static let path = "/proc/self/oom_score_adj"

    /// The score of the calling process. Nil without /proc.
    package static var current: Int? {
        (try? SmallFile.read(path)).flatMap { Int($0.filter { !$0.isWhitespace }) }
    }

    /// Changes the score of the calling process, all of its threads.
    ///
    /// - Throws: EACCES, if the score is below the one that a process with CAP_SYS_RESOURCE has set last for this process
    ///   or the process that forked it, and the caller has not got that capability in the first user namespace.
    package static func set(_ score: Int) throws(SystemError) {
        let text = Array("\(score)".utf8)
        let path = path
        let file = Descriptor(owning: try systemCall("open", on: path) { cprefork_open(path, O_WRONLY | O_CLOEXEC, 0) })
        try systemCall("write", on: path) { Glibc.write(file.number, text, text.count) }
    }

    /// Whether children of this process may set the score. Above the process's own it always may.
    ///
    /// No word of /proc says what the kernel compares with, and a capability of a container does not count. So a lower
    /// score is tried, and the process's own is restored at once.
    ///
    /// - Throws: the error that a child would have.
    package static func check(_ score: Int) throws(SystemError) {
        guard let own = current, score < own else { return }
        try set(score)
        try set(own)
    }
}
