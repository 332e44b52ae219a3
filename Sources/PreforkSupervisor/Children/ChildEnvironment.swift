// The variables that no child inherits.

import PreforkSystem

/// The table of variables that speak to the supervisor alone. Each new worker and each managed process removes them
/// before any code of the program runs in it. The supervisor keeps its own.
enum ChildEnvironment {
    /// How a service manager is spoken to. `PREFORK_KEEP_SERVICE_VARIABLES` leaves them.
    static let service = NotifyEnvironment.variables

    /// Variables with descriptor numbers of the supervisor's table, and with the process that they were meant for. The
    /// numbers mean nothing in a child.
    static let descriptors = InheritedDescriptors.variables + ["FDSTORE", Handover.variable]

    private static let all = service + descriptors

    /// What a child removes. Made before the first fork: in a child each array costs additional pages.
    static func names(keepingService: Bool) -> [String] { keepingService ? descriptors : all }
}
