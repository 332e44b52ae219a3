// The control groups of workers, in a hierarchy that is not the kernel's. `Scripts/machine/limits.py` has the kernel's.

import Synchronization
import Testing

@testable import PreforkSystem

/// A hierarchy below `/g` with the kernel's rules that matter here. The calling process is `me`, another may be `other`.
private final class Hierarchy: Sendable {
    struct State {
        var controllers = "cpu memory pids"
        /// The processes of each group.
        var groups: [String: Set<String>] = ["/g/app": ["me"]]
        var enabled: Set<String> = []
        var limits: [String: String] = [:]
        var kills: [String: Int] = [:]
        var attributes: [String: String] = [:]
        var isReadOnly = false
    }

    let state: Mutex<State>

    init(_ change: (inout State) -> Void = { _ in }) {
        var state = State()
        change(&state)
        self.state = Mutex(state)
    }

    var files: GroupFiles {
        GroupFiles(
            read: { self.read($0) }, write: { (text, path) throws(SystemError) in try self.write(text, path) },
            make: { (path) throws(SystemError) in
                try self.state.withLock { state throws(SystemError) in
                    if state.isReadOnly { throw SystemError("mkdir", Errno(rawValue: 30), on: path) }
                    if state.groups[path] != nil { throw SystemError("mkdir", .exists, on: path) }
                    state.groups[path] = []
                }
            },
            remove: { path in
                self.state.withLock { state in
                    guard let members = state.groups[path] else { return true }
                    guard members.isEmpty else { return false }
                    state.groups[path] = nil
                    return true
                }
            },
            names: { directory in
                self.state.withLock { state in
                    state.groups.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
                }
            },
            attribute: { name, path in self.state.withLock { path == "/g/app" ? $0.attributes[name] : nil } })
    }

    private func read(_ path: String) -> String? {
        let parts = path.split(separator: "/")
        let (directory, name) = ("/" + parts.dropLast().joined(separator: "/"), parts.last ?? "")
        return state.withLock { state in
            guard state.groups[directory] != nil else { return nil }
            return switch name {
            case "cgroup.controllers": state.controllers
            case "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill \(state.kills[directory] ?? 0)\n"
            default: nil
            }
        }
    }

    private func write(_ text: String, _ path: String) throws(SystemError) {
        let parts = path.split(separator: "/")
        let (directory, name) = ("/" + parts.dropLast().joined(separator: "/"), parts.last ?? "")
        try state.withLock { state throws(SystemError) in
            guard state.groups[directory] != nil else { throw SystemError("open", .noEntry, on: path) }
            switch name {
            case "cgroup.procs":
                if state.enabled.contains(directory) { throw SystemError("write", .busy, on: path) }
                for group in state.groups.keys { state.groups[group]?.remove("me") }
                state.groups[directory]?.insert("me")
            case "cgroup.subtree_control":
                if state.groups[directory]?.isEmpty == false { throw SystemError("write", .busy, on: path) }
                if text == "+memory" { state.enabled.insert(directory) } else { state.enabled.remove(directory) }
            case "memory.max": state.limits[directory] = text
            default: break
            }
        }
    }

    func group(_ path: String = "/app") -> ControlGroup {
        ControlGroup(
            membership: "0::\(path)\n", mounts: "30 20 0:26 / /g rw,nosuid - cgroup2 cgroup2 rw\n", readFile: { _ in nil })
    }
}

@Suite struct WorkerGroupsTests {
    @Test func theSupervisorGoesToALeafAndEachWorkerHasItsLimit() throws {
        let tree = Hierarchy()
        let groups = try WorkerGroups(limit: 1 << 29, in: tree.group(), pid: 7, files: tree.files)
        #expect(tree.state.withLock { $0.groups["/g/app/prefork-supervisor"] } == ["me"])
        try groups.make(for: 3)
        #expect(tree.state.withLock { $0.limits["/g/app/prefork-worker-7-3"] } == "536870912")
        // As the worker.
        try groups.enter(3)
        #expect(tree.state.withLock { $0.groups["/g/app/prefork-worker-7-3"] } == ["me"])
    }

    @Test func aKillInItsGroupIsTheWorkersAndTheGroupGoes() throws {
        let tree = Hierarchy()
        let groups = try WorkerGroups(limit: 100, in: tree.group(), pid: 7, files: tree.files)
        try groups.make(for: 1)
        try groups.make(for: 2)
        tree.state.withLock { $0.kills["/g/app/prefork-worker-7-1"] = 1 }
        #expect(groups.end(1) == true && groups.end(2) == false)
        #expect(groups.end(1) == nil, "it is gone")
        #expect(groups.end(99) == nil, "it had none")
    }

    @Test func aGroupWithProcessesThatOutliveTheirWorkerGoesLater() throws {
        let tree = Hierarchy()
        let groups = try WorkerGroups(limit: 100, in: tree.group(), pid: 7, files: tree.files)
        try groups.make(for: 1)
        try groups.make(for: 2)
        tree.state.withLock { $0.groups["/g/app/prefork-worker-7-1"] = ["orphan"] }
        #expect(groups.end(1) == false)
        #expect(tree.state.withLock { $0.groups["/g/app/prefork-worker-7-1"] } != nil)
        tree.state.withLock { $0.groups["/g/app/prefork-worker-7-1"] = [] }
        _ = groups.end(2)
        #expect(tree.state.withLock { $0.groups["/g/app/prefork-worker-7-1"] } == nil)
    }

    @Test func itGoesBackAtTheEndAndNothingIsLeft() throws {
        let tree = Hierarchy()
        let groups = try WorkerGroups(limit: 100, in: tree.group(), pid: 7, files: tree.files)
        try groups.make(for: 1)
        _ = groups.end(1)
        groups.close()
        #expect(tree.state.withLock { $0.groups } == ["/g/app": ["me"]])
        #expect(tree.state.withLock { $0.enabled.isEmpty })
    }

    @Test func theNextImageOfTheProgramContinuesWithTheSameGroups() throws {
        let tree = Hierarchy()
        let first = try WorkerGroups(limit: 100, in: tree.group(), pid: 7, files: tree.files)
        try first.make(for: 1)
        let second = try WorkerGroups(limit: 200, in: tree.group("/app/prefork-supervisor"), pid: 7, files: tree.files)
        #expect(tree.state.withLock { $0.groups["/g/app/prefork-worker-7-1"] } != nil, "a worker of its own")
        #expect(second.end(1) == false)
        try second.make(for: 2)
        #expect(tree.state.withLock { $0.limits["/g/app/prefork-worker-7-2"] } == "200")
    }

    @Test func emptyGroupsOfASupervisorThatWasKilledAreRemoved() throws {
        let tree = Hierarchy {
            $0.groups["/g/app/prefork-worker-5-1"] = []
            $0.groups["/g/app/prefork-worker-5-2"] = ["orphan"]
            $0.groups["/g/app/other"] = []
        }
        _ = try WorkerGroups(limit: 100, in: tree.group(), pid: 7, files: tree.files)
        let names = tree.state.withLock { Set($0.groups.keys) }
        #expect(names == ["/g/app", "/g/app/prefork-supervisor", "/g/app/prefork-worker-5-2", "/g/app/other"])
    }

    @Test func anotherProcessInTheGroupLeavesEverythingAsItWas() throws {
        let tree = Hierarchy { $0.groups["/g/app"] = ["me", "shell"] }
        let error = #expect(throws: WorkerGroupsError.self) {
            _ = try WorkerGroups(limit: 100, in: tree.group(), pid: 7, files: tree.files)
        }
        #expect("\(try #require(error))".contains("write(/g/app/cgroup.subtree_control)"))
        #expect(tree.state.withLock { $0.groups } == ["/g/app": ["me", "shell"]])
    }

    @Test func whatCannotBeIsSaid() throws {
        func refusal(_ tree: Hierarchy, _ group: ControlGroup) -> WorkerGroupsError? {
            do throws(WorkerGroupsError) {
                _ = try WorkerGroups(limit: 100, in: group, pid: 7, files: tree.files)
                return nil
            } catch {
                return error
            }
        }
        let versionOne = ControlGroup(membership: "4:memory:/app\n", mounts: "", readFile: { _ in nil })
        #expect(refusal(Hierarchy(), versionOne) == .noHierarchy)
        let bare = Hierarchy { $0.controllers = "pids" }
        #expect(refusal(bare, bare.group()) == .noController("/g/app"))
        let systemds = Hierarchy { $0.attributes = ["user.invocation_id": "0123"] }
        #expect(refusal(systemds, systemds.group()) == .notDelegated("/g/app"))
        let delegated = Hierarchy { $0.attributes = ["user.invocation_id": "0123", "user.delegate": "1"] }
        #expect(refusal(delegated, delegated.group()) == nil)
        let older = Hierarchy { $0.attributes = ["trusted.invocation_id": "0123", "trusted.delegate": "1"] }
        #expect(refusal(older, older.group()) == nil)
        let readOnly = Hierarchy { $0.isReadOnly = true }
        #expect(refusal(readOnly, readOnly.group()) == .system(SystemError("mkdir", Errno(rawValue: 30), on: "/g/app/prefork-supervisor")))
    }
}
