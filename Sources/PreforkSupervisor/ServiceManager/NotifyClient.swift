// Notifications of the supervisor to the service manager (sd_notify(3)).

package import PreforkSystem

/// One assignment of the notify protocol.
package enum ServiceState: Hashable, Sendable {
    /// Started, or reloaded.
    case ready
    /// A reload begins. `at` is now, on CLOCK_MONOTONIC. systemd 253 wants it for Type=notify-reload.
    case reloading(at: MonotonicInstant)
    case stopping
    /// The supervisor lives and does its work.
    case watchdog
    /// One line for `systemctl status`.
    case status(String)
    /// From now on the service's main process is this one.
    case mainPID(Int32)

    /// The line without its end. A line end inside of a text would begin another assignment. It becomes a blank.
    package var line: String {
        switch self {
        case .ready: "READY=1"
        case .reloading(let now): "RELOADING=1\nMONOTONIC_USEC=\(max(0, now.nanoseconds) / 1_000)"
        case .stopping: "STOPPING=1"
        case .watchdog: "WATCHDOG=1"
        case .status(let text):
            "STATUS=" + ForeignText(String(text.map { $0.isNewline || $0 == "\0" ? " " : $0 })).escaped(for: .log)
        case .mainPID(let pid): "MAINPID=\(pid)"
        }
    }
}

/// Tells the service manager about this service. Only the process that made it speaks: a forked worker that inherits
/// it is silent, as NotifyAccess=main wants it.
package final class NotifyClient {
    private let socket: NotifySocket
    private let owner = CurrentProcess.pid

    /// - Parameter name: the value of NOTIFY_SOCKET.
    /// - Throws: for a name that is neither a path nor an abstract name, or too long.
    package init(socket name: String) throws(SystemError) {
        socket = try NotifySocket(name: name)
    }

    /// For children, which close it.
    package var descriptor: Int32 { socket.number }

    /// Has the service manager keep copies of descriptors for the next start of the service, in place of those that it
    /// keeps under these names (FDSTORE=1, FDSTOREREMOVE=1). It keeps as many as FileDescriptorStoreMax= allows, and
    /// says nothing if that is none.
    package func store(_ descriptors: [(name: String, number: Int32)]) throws(SystemError) {
        guard CurrentProcess.pid == owner else { return }
        for (name, number) in descriptors {
            _ = try socket.send("FDSTOREREMOVE=1\nFDNAME=\(name)")
            // FDPOLL=0 (systemd 246): a memory file has nothing to poll.
            try socket.send("FDSTORE=1\nFDNAME=\(name)\nFDPOLL=0", passing: [number])
        }
    }

    /// Sends the states in one message. Never waits.
    ///
    /// - Returns: false when it did not get through: the queue is full, or this is a child.
    /// - Throws: ENOENT or ECONNREFUSED when no process listens there: a reason to log, not to stop.
    @discardableResult
    package func send(_ states: [ServiceState]) throws(SystemError) -> Bool {
        guard CurrentProcess.pid == owner else { return false }
        return try socket.send(states.map(\.line).joined(separator: "\n"))
    }
}
