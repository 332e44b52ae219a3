// Signals that a supervisor passes on, and the numbers that are free for a program's own use.

import CPrefork
import Glibc

extension Signal {
    package static let urgent = Signal(rawValue: SIGURG)
    package static let alarm = Signal(rawValue: SIGALRM)
    /// SIGTTIN, which in a server means one worker more.
    package static let moreWorkers = Signal(rawValue: SIGTTIN)
    /// SIGTTOU: one worker less.
    package static let fewerWorkers = Signal(rawValue: SIGTTOU)

    /// SIGRTMIN ... SIGRTMAX, without those that the C library keeps for itself (signal(7)).
    package static var realTime: [Signal] {
        (cprefork_first_real_time_signal()...cprefork_real_time_signal(0)).map { Signal(rawValue: $0) }
    }

    package var isRealTime: Bool {
        (cprefork_first_real_time_signal()...cprefork_real_time_signal(0)).contains(rawValue)
    }
}
