// Children of a scenario, and their ends.

import Glibc
import PreforkSystem

/// Forks a child that runs `body` and leaves. It dies with this process, which a test may kill at any time.
package func child(_ body: () throws -> Void) throws -> Int32 {
    let parent = getpid()
    if case .parent(let pid) = try forkProcess() { return pid }
    guard becomeChild(of: parent, closing: []) else { _exit(75) }
    do { try body() } catch { fail(error) }
    _exit(0)
}

/// Waits for a child's own end.
///
/// - Returns: the exit code, or minus the signal.
@discardableResult
package func waitForEnd(_ pid: Int32) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) != pid { require(errno == EINTR, "no child \(pid)") }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
}

/// Waits for a child that ends by itself and must have succeeded.
package func join(_ pid: Int32) {
    let end = waitForEnd(pid)
    require(end == 0, "child \(pid) ended with \(end)")
}

package func killAndReap(_ pid: Int32) {
    kill(pid, SIGKILL)
    waitForEnd(pid)
}

/// Stops a process, and returns when it is.
package func stop(_ pid: Int32) {
    kill(pid, SIGSTOP)
    until { state(of: pid) == "T" }
}

/// "S" for a process that sleeps in the kernel, "T" for a stopped one (proc(5)), "X" when it is gone.
package func state(of pid: Int32) -> Character {
    let status = try? SmallFile.read("/proc/\(pid)/stat", limit: 512)
    return status?.split(separator: ")").last?.dropFirst().first ?? "X"
}

/// Waits for what another process does.
package func until(within limit: Duration = .seconds(90), line: Int = #line, _ condition: () -> Bool) {
    let end = MonotonicInstant.now + limit
    while !condition() {
        require(MonotonicInstant.now < end, "line \(line): not within \(limit)")
        usleep(500)
    }
}
