// Proportional sizes of workers, added by the tool that shows them.

import PreforkSupervisor
import PreforkSystem

extension JSONValue {
    /// A status, with a member `pss` in each worker. The kernel computes it under a lock that the worker can hold, so
    /// that the tool waits, and not the supervisor. Workers whose memory this user may not read have no such member.
    ///
    /// - Parameter supervisor: the process at the other end of the socket, as this process sees it. A status that names
    ///   another process comes from another PID namespace, where its numbers mean other processes.
    func addingProportionalMemory(supervisor: Int32) -> JSONValue {
        guard case .object(let members) = self, self["supervisor"]?.integer == Int64(supervisor) else { return self }
        var reader = ProcessUsageReader()
        return .object(
            members.map { member in
                guard member.name == "workers", case .array(let workers) = member.value else { return member }
                return Member("workers", .array(workers.map { $0.withProportionalMemory(&reader) }))
            })
    }

    private func withProportionalMemory(_ reader: inout ProcessUsageReader) -> JSONValue {
        guard case .object(let members) = self, let pid = self["pid"]?.integer.flatMap({ Int32(exactly: $0) }),
            let bytes = reader.proportional(of: pid)
        else { return self }
        return .object(members + [Member("pss", .integer(Int64(bytes)))])
    }
}

extension ControlClient {
    /// The status, with what only this side may read.
    func detailedStatus() throws -> JSONValue {
        let status = try ask(.order("status"))["status"] ?? .null
        return status.addingProportionalMemory(supervisor: try peer())
    }
}
