// fork(2) with the hygiene that makes a child safe: one thread, no buffered output twice, no signal lost.

import CPrefork
import Glibc
import Synchronization

/// On which side of a fork the caller is.
package enum ForkSide: Equatable, Sendable {
    case parent(child: Int32)
    case child
}

/// How many threads this process has.
///
/// The link count of a task directory is two plus its entries (proc(5)), so that one stat(2) is enough. A process that
/// has never started a thread is spared it: glibc keeps a flag for that (sys/single_threaded.h, 2.32), which is false
/// where it is not sure.
package func threadCount() -> Int {
    if cprefork_is_surely_single_threaded() { return 1 }
    var status = stat()
    guard stat("/proc/self/task", &status) == 0 else { return 1 }
    return max(1, Int(status.st_nlink) - 2)
}

/// Whether the calling thread is the only one of its process. False where that cannot be known: without /proc.
var isOnlyThread: Bool {
    var status = stat()
    return stat("/proc/self/task", &status) == 0 && status.st_nlink == 3
}

/// Forks this process. The caller must block every signal first, because it knows when its child can take them
/// (gunicorn #1910: a signal between fork and the child's handlers is lost).
///
/// What stdout and stderr have buffered is the parent's to write, or both sides would (redis #439, spdlog #2920): the
/// child throws its copy away. Before its first fork a process writes all streams out, so that what a program says when
/// it starts is seen at once, as far as a reader takes it. Later that could wait: children share the pipe, and may have
/// filled it. The streams that a program has opened itself are its own to flush from then on.
package func forkProcess() throws(SystemError) -> ForkSide {
    if !Handover.isLaterImage, lastForker.exchange(ForkCount.current, ordering: .relaxed) != ForkCount.current {
        cprefork_flush_without_waiting()
    }
    cprefork_learn_thread_numbers()
    CrashMark.prepare()
    cprefork_note_new_child(true)
    let pid = try systemCall("fork") { fork() }
    if pid == 0 {
        cprefork_leave_diversion()
        cprefork_discard_stdio()
    }
    return pid == 0 ? .child : .parent(child: pid)
}

/// Whether children of this process, or of its previous image, may have the sockets that it closes.
package var hasForkedChildren: Bool {
    lastForker.load(ordering: .relaxed) == ForkCount.current || Handover.isLaterImage && ForkCount.isFirst
}

/// The `ForkCount` of the process that has forked last: a forked child has not forked yet.
private let lastForker = Atomic<UInt64>(0)

/// What a child does first, before any code of the program's own. All signals are blocked on entry.
///
/// - Parameters:
///   - parent: the process that forked.
///   - unneeded: descriptors of the parent's that the child must not keep (`unbrokenRuns`).
/// - Returns: false if the parent is gone already. PR_SET_PDEATHSIG was then set too late to report it, and the child
///   must exit at once (prctl(2); contribsys/einhorn checks the same).
package func becomeChild(of parent: Int32, closing unneeded: [ClosedRange<Int32>]) -> Bool {
    _ = cprefork_set_parent_death_signal(SIGKILL)
    for run in unneeded { closeDescriptors(run) }
    cprefork_reset_signal_actions()
    cprefork_reseed()
    cprefork_renumber_thread(parent)
    // A loop of the parent's, which does not run here.
    ThreadLoop.current = nil
    LockPatience.allowLongWaits()
    StandardErrorLines.forget()
    return getppid() == parent
}

/// In a process that will fork: looks up the functions that its children call first, which are linked lazily.
package func bindSymbolsOfChildren() {
    cprefork_bind_symbols()
    CrashMark.prepare()
}

/// Reports left-out lines, writes out stdio and exits at once: handlers that the parent registered with atexit(3) are
/// the parent's.
///
/// - Parameter code: 0...255. Any other code ends it with 255. The kernel keeps the low eight bits (wait(2)), so 256
///   would pass for success.
package func exitChild(code: Int32) -> Never {
    Family.leave()
    StandardErrorLines.tellAllLeftOut()
    cprefork_flush_stdio()
    _exit((0...255).contains(code) ? code : 255)
}
