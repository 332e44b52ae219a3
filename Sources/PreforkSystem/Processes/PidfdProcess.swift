// Signals to processes that are not children of this one, by pidfd if available.

import CPrefork
import Glibc

package enum PidfdSignals {
    /// Whether `errno`, of pidfd_send_signal(2), means that the call itself is refused, by a kernel before 5.1 or by a
    /// seccomp filter, and not the signal: for no descriptor a kernel that has the call says EBADF.
    static func isRefusal(_ errno: Errno) -> Bool {
        guard errno == .noSystemCall || errno == .notPermitted else { return false }
        guard cprefork_pidfd_send_signal(-1, 0) < 0 else { return false }
        return Errno.current == .noSystemCall || Errno.current == .notPermitted
    }
}

/// Any process, held by a pidfd: its number is not used again meanwhile. If pidfds are refused, it is held by its
/// number alone, and the caller checks again that the number still is the intended process.
struct PidfdProcess: ~Copyable {
    let pid: Int32
    private let pidfd: Descriptor?

    /// nil: there is no such process.
    init?(_ pid: Int32) {
        self.pid = pid
        let number = cprefork_pidfd_open(pid)
        if number >= 0 {
            pidfd = Descriptor(owning: number)
        } else if [.noSystemCall, .notPermitted].contains(Errno.current) {
            pidfd = nil
        } else {
            return nil
        }
    }

    /// Sends a signal to the process. Errors are not reported: the process may be gone, which is the intended result.
    func send(_ signal: Int32) {
        switch pidfd {
        case .some(let descriptor):
            if cprefork_pidfd_send_signal(descriptor.number, signal) < 0, PidfdSignals.isRefusal(.current) {
                kill(pid, signal)
            }
        case nil: kill(pid, signal)
        }
    }
}
