// The variables by which a service manager speaks to its service.

package import PreforkSystem

/// What systemd has put into the environment for the supervisor alone. A worker, or a program that it starts, which
/// finds NOTIFY_SOCKET or WATCHDOG_PID would speak for a service that it is not.
package struct NotifyEnvironment: Hashable, Sendable {
    package var notifySocket: String?
    package var watchdogMicroseconds: String?
    package var watchdogPID: String?

    package static let variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    package init(_ environment: [String: String]) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        notifySocket = value("NOTIFY_SOCKET")
        watchdogMicroseconds = value("WATCHDOG_USEC")
        watchdogPID = value("WATCHDOG_PID")
    }

    /// Reads this process's variables, before the first fork.
    ///
    /// - Parameter keeping: leaves them for workers and their children, because the program asked for it.
    package static func take(keeping: Bool = false) -> NotifyEnvironment {
        let environment = NotifyEnvironment(ProcessEnvironment.all)
        if !keeping { ProcessEnvironment.remove(variables) }
        return environment
    }

    /// Puts them back for the program that is going to replace this one under the same process ID.
    package func restore() throws(SystemError) {
        for (name, value) in zip(Self.variables, [notifySocket, watchdogMicroseconds, watchdogPID]) {
            if let value { try ProcessEnvironment.set(name, to: value) }
        }
    }
}
