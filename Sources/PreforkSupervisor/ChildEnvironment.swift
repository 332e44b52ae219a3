// The variables that no child inherits.

import PreforkSystem

/// The table of variables that speak to the supervisor alone. Each new worker and each managed process removes them
/// before any code of the program runs in it. The supervisor keeps its own.
enum ChildEnvironment {
    /// How a service manager is spoken to. `PREFORK_KEEP_SERVICE_VARIABLES` leaves them.
    static let service = ServiceEnvironment.variables

    /// Numbers of descriptors in the supervisor's table, and whose they are: they mean nothing in a child.
    static let descriptors = InheritedDescriptors.variables + ["FDSTORE", Handover.variable]

    static func filter(keepingService: Bool) {
        ProcessEnvironment.remove(keepingService ? descriptors : service + descriptors)
    }
}
