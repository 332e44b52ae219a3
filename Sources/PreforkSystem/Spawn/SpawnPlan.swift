// The steps of a new process before its program runs, as a value.

import CPrefork
import Glibc

/// A program's start, ready for the kernel: paths and strings are bytes without NUL, descriptors are numbers of this
/// process, nothing is looked up any more.
package struct SpawnPlan: Sendable {
    /// Where a descriptor of the child comes from.
    package enum Source: Equatable, Sendable {
        case descriptor(Int32)
        case nullDevice
        /// This process's descriptor of that number, if an exec would pass it on. Otherwise the null device.
        case inherited(Int32)

        fileprivate var number: Int32 {
            switch self {
            case .descriptor(let number): number
            case .nullDevice: Int32(CPREFORK_SOURCE_NULL_DEVICE)
            case .inherited(let number): Int32(CPREFORK_SOURCE_INHERIT) - number
            }
        }
    }

    package enum Group: Equatable, Sendable {
        case inherited, new, session
        case joining(Int32)
    }

    package struct Limit: Equatable, Sendable {
        package var resource: Int32
        package var soft: UInt64
        package var hard: UInt64

        package init(resource: Int32, soft: UInt64, hard: UInt64) {
            self.resource = resource
            self.soft = soft
            self.hard = hard
        }
    }

    /// Paths to try in this order.
    package var programs: [[UInt8]]
    /// With the program's own name first.
    package var arguments: [[UInt8]]
    package var environment = EnvironmentEdits()
    /// By rising target. Every other descriptor is closed.
    package var descriptors: [(target: Int32, source: Source)] = []
    package var workingDirectory: [UInt8]?
    package var group = Group.inherited
    /// The child's descriptor that becomes its controlling terminal. Needs `.session`.
    package var controllingTerminal: Int32?
    /// Path of a `cgroup.procs` file.
    package var controlGroup: [UInt8]?
    package var niceness: Int32?
    package var limits: [Limit] = []
    package var supplementaryGroups: [UInt32]?
    package var userID: UInt32?
    package var groupID: UInt32?
    package var umask: UInt32?
    package var parentDeathSignal: Signal?
    /// If it cannot be set, the program runs without it.
    package var parentDeathIsWish = false
    package var noNewPrivileges = false
    package var sandbox: PreparedSandbox?

    package init(programs: [[UInt8]], arguments: [[UInt8]]) {
        self.programs = programs
        self.arguments = arguments
    }
}

extension SpawnPlan {
    /// Calls `body` with the plan as C reads it. The pointers are valid during the call only.
    ///
    /// - Parameter ruleset: the sandbox's rules, if it has any.
    func withCPlan<Result>(ruleset: Int32? = nil, _ body: (inout cprefork_spawn_plan) -> Result) -> Result {
        let edits = environment.entries
        let kept = environment.inheritedPointers()
        var arena = CStringArena(
            tables: [programs.count, arguments.count, kept.count + edits.count],
            stringBytes: [programs, arguments, edits].joined().reduce(0) { $0 + $1.count }
                + (workingDirectory?.count ?? 0) + (controlGroup?.count ?? 0),
            strings: programs.count + arguments.count + edits.count + 2)
        let programTable = arena.table(count: programs.count)
        let argumentTable = arena.table(count: arguments.count)
        let environmentTable = arena.table(count: kept.count + edits.count)
        arena.fill(programTable, programs)
        arena.fill(argumentTable, arguments)
        for (index, entry) in kept.enumerated() { environmentTable[index] = entry }
        arena.fill(environmentTable + kept.count, edits)
        var descriptors = descriptors.map {
            cprefork_spawn_descriptor(target: $0.target, source: $0.source.number, is_handed_on: false)
        }
        let limits = limits.map { cprefork_spawn_limit(resource: $0.resource, soft: $0.soft, hard: $0.hard) }
        let directory = workingDirectory.map { UnsafePointer(arena.string($0)) }
        let controlGroup = controlGroup.map { UnsafePointer(arena.string($0)) }
        let result = descriptors.withUnsafeMutableBufferPointer { descriptors in
            limits.withUnsafeBufferPointer { limits in
                (supplementaryGroups ?? []).withUnsafeBufferPointer { groups in
                    var plan = cprefork_spawn_plan()
                    plan.programs = UnsafeRawPointer(programTable).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
                    plan.arguments = UnsafePointer(argumentTable)
                    plan.environment = UnsafePointer(environmentTable)
                    plan.descriptors = descriptors.baseAddress
                    plan.descriptor_count = Int32(descriptors.count)
                    plan.limits = limits.baseAddress
                    plan.limit_count = Int32(limits.count)
                    plan.groups = groups.baseAddress
                    plan.group_count = supplementaryGroups == nil ? -1 : Int32(groups.count)
                    plan.working_directory = directory
                    plan.control_group = controlGroup
                    fillNumbers(&plan)
                    guard let sandbox else { return body(&plan) }
                    return sandbox.withCSandbox(ruleset: ruleset) { sandbox in
                        plan.sandbox = sandbox
                        return body(&plan)
                    }
                }
            }
        }
        _ = consume arena  // lives until here
        return result
    }

    private func fillNumbers(_ plan: inout cprefork_spawn_plan) {
        plan.new_session = group == .session
        plan.process_group =
            switch group {
            case .inherited, .session: -1
            case .new: 0
            case .joining(let group): group
            }
        plan.terminal = controllingTerminal ?? -1
        plan.sets_niceness = niceness != nil
        plan.niceness = niceness ?? 0
        plan.user_id = userID.map(Int64.init) ?? -1
        plan.group_id = groupID.map(Int64.init) ?? -1
        plan.mask = umask.map { Int32($0 & 0o777) } ?? -1
        plan.parent_death_signal = parentDeathSignal?.rawValue ?? 0
        plan.parent_death_is_wish = parentDeathIsWish
        plan.no_new_privileges = noNewPrivileges
    }
}
