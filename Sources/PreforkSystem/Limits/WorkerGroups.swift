// A control group with a memory limit for each worker (cgroup v2).

import CPrefork
import Glibc

/// The files of a control group hierarchy. Tests have a tree of their own.
package struct GroupFiles: Sendable {
    package var read: @Sendable (_ path: String) -> String?
    package var write: @Sendable (_ text: String, _ path: String) throws(SystemError) -> Void
    package var make: @Sendable (_ directory: String) throws(SystemError) -> Void
    /// - Returns: whether it is gone.
    package var remove: @Sendable (_ directory: String) -> Bool
    package var names: @Sendable (_ directory: String) -> [String]
    package var attribute: @Sendable (_ name: String, _ path: String) -> String?

    package static let system = GroupFiles(
        read: { try? SmallFile.read($0) },
        write: { (text, path) throws(SystemError) in
            let bytes = Array(text.utf8)
            let file = Descriptor(
                owning: try systemCall("open", on: path) { cprefork_open(path, O_WRONLY | O_CLOEXEC, 0) })
            try systemCall("write", on: path) { Glibc.write(file.number, bytes, bytes.count) }
        },
        make: { (path) throws(SystemError) in try systemCall("mkdir", on: path) { mkdir(path, 0o755) } },
        remove: { rmdir($0) == 0 || Errno.current == .noEntry }, names: { DirectoryListing.names($0) },
        attribute: { name, path in
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = cprefork_attribute(path, name, &bytes, bytes.count)
            return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
        })
}

/// Why workers have no control groups of their own.
package enum WorkerGroupsError: Error, Equatable, CustomStringConvertible {
    case noHierarchy
    case noController(String)
    case notDelegated(String)
    case system(SystemError)

    package var description: String {
        switch self {
        case .noHierarchy: "there is no control group of version 2"
        case .noController(let group): "\(group) has no memory controller"
        case .notDelegated(let group): "\(group) is systemd's own: Delegate=memory lets the service have groups in it"
        case .system(let error): "\(error)"
        }
    }
}

/// Groups of workers below the one that the supervisor was started in.
///
/// | group                       | who is in it                                                |
/// |-----------------------------|-------------------------------------------------------------|
/// | G, where the service began  | no process: a group whose children have controllers must not |
/// |                             | have any (cgroups(7), "no internal processes")              |
/// | G/prefork-supervisor        | the supervisor and its managed processes                    |
/// | G/prefork-worker-PID-SPAWN  | one worker, with what it has started                        |
///
/// A worker that takes more memory than its limit is killed by the kernel with everything in its group, and no other
/// process is. The next image of the program is in `prefork-supervisor` already. Runs in the supervisor, but for `enter`.
package final class WorkerGroups {
    private static let own = "prefork-supervisor"
    private static let prefix = "prefork-worker-"

    /// Bytes of memory that each worker may have.
    package let limit: Int
    private let base: String
    private let pid: Int32
    private let files: GroupFiles
    /// Processes that a worker has started live in them still.
    private var left: Set<String> = []
    /// Of workers that were spares: by their spawns, the numbers for which their groups were made.
    private var makers: [UInt64: UInt64] = [:]

    /// Moves the calling process into its own group, and lets the groups beside it have memory limits. If that cannot be
    /// done, nothing has changed.
    package init(
        limit: Int, in group: ControlGroup = .current, pid: Int32 = CurrentProcess.pid, files: GroupFiles = .system
    ) throws(WorkerGroupsError) {
        guard let place = group.unified else { throw .noHierarchy }
        let end = "/\(Self.own)"
        let isInside = place.directory.hasSuffix(end)
        base = isInside ? String(place.directory.dropLast(end.count)) : place.directory
        self.limit = limit
        self.pid = pid
        self.files = files
        let controllers = files.read("\(base)/cgroup.controllers")?.split(whereSeparator: \.isWhitespace) ?? []
        guard controllers.contains("memory") else { throw .noController(base) }
        if !isInside {
            try rejectSystemdsOwn()
            do throws(SystemError) { try moveInside() } catch { throw .system(error) }
        }
        // Of a supervisor that was killed. One that has a process in it stays.
        for name in files.names(base) where name.hasPrefix(Self.prefix) && !name.hasPrefix("\(Self.prefix)\(pid)-") {
            _ = files.remove("\(base)/\(name)")
        }
    }

    /// systemd could not start ExecReload= in a unit's group that has controllers for its children, unless it was told
    /// that the group is not its own: then it uses a group `.control` (Delegate=, systemd.resource-control(5)). It marks
    /// its groups by these attributes (systemd 251; as trusted ones, which only root reads, since 2018).
    private func rejectSystemdsOwn() throws(WorkerGroupsError) {
        func has(_ name: String) -> Bool {
            ["user", "trusted"].contains { files.attribute("\($0).\(name)", base)?.isEmpty == false }
        }
        func isOne(_ name: String) -> Bool {
            ["user", "trusted"].contains { files.attribute("\($0).\(name)", base) == "1" }
        }
        if has("invocation_id"), !isOne("delegate") { throw .notDelegated(base) }
    }

    private func moveInside() throws(SystemError) {
        let own = "\(base)/\(Self.own)"
        do throws(SystemError) { try files.make(own) } catch {
            guard error.errno == .exists else { throw error }
        }
        do throws(SystemError) {
            try files.write("0", "\(own)/cgroup.procs")
            try files.write("+memory", "\(base)/cgroup.subtree_control")
        } catch {
            // EBUSY: another process is in the group, too, such as a shell.
            try? files.write("0", "\(base)/cgroup.procs")
            _ = files.remove(own)
            throw error
        }
    }

    private func path(_ spawn: UInt64) -> String { "\(base)/\(Self.prefix)\(pid)-\(makers[spawn] ?? spawn)" }

    /// Makes the group of a worker that is about to be forked.
    package func make(for spawn: UInt64) throws(SystemError) {
        let path = path(spawn)
        try files.make(path)
        do throws(SystemError) {
            try files.write("\(limit)", "\(path)/memory.max")
        } catch {
            _ = files.remove(path)
            throw error
        }
        // All of it or nothing: a worker whose helper was killed alone would wait for it. Linux 4.19.
        try? files.write("1", "\(path)/memory.oom.group")
    }

    /// Runs in the new worker, before any code of the program's own.
    package func enter(_ spawn: UInt64) throws(SystemError) { try files.write("0", "\(path(spawn))/cgroup.procs") }

    /// A spare has become the worker of that spawn. Its group stays: a directory of version 2 cannot be renamed, and a
    /// process that moves leaves the memory that it has in its old group (cgroup-v2, "Memory Ownership").
    package func rename(_ spare: UInt64, to spawn: UInt64) { makers[spawn] = spare }

    /// A worker was reaped, or was not forked after all. Removes its group.
    ///
    /// - Returns: whether the kernel has killed in it for lack of memory. Nil if the worker had no group.
    package func end(_ spawn: UInt64) -> Bool? {
        let path = path(spawn)
        makers[spawn] = nil
        let kills = files.read("\(path)/memory.events").flatMap { OutOfMemoryKills.count(in: $0) }
        if !files.remove(path) { left.insert(path) }
        removeLeft()
        return kills.map { $0 > 0 }
    }

    private func removeLeft() { left = left.filter { !files.remove($0) } }

    /// The supervisor ends: it goes back to where it was started.
    package func close() {
        removeLeft()
        try? files.write("-memory", "\(base)/cgroup.subtree_control")
        do throws(SystemError) { try files.write("0", "\(base)/cgroup.procs") } catch { return }
        _ = files.remove("\(base)/\(Self.own)")
    }
}
