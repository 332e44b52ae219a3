// Everything in a control group.

import CPrefork
import Glibc

/// Sends SIGKILL to every process in a control group: by cgroup.kill (cgroup v2, Linux 5.14), or else one by one until
/// the group is empty. Errors are not reported: the group may be gone, which is the intended result.
package func killMembers(ofControlGroup path: [UInt8]) {
    let directory = String(decoding: path, as: UTF8.self)
    let number = cprefork_open(directory + "/cgroup.kill", O_WRONLY | O_CLOEXEC, 0)
    if number >= 0 {
        let file = Descriptor(owning: number)
        if Glibc.write(file.number, "1", 1) == 1 { return }
    }
    for _ in 0..<16 {
        let members = memberProcesses(directory)
        if members.isEmpty { return }
        for pid in members {
            guard let held = PidfdProcess(pid) else { continue }
            // A number that was used again between the two reads belongs to a process that is not in the group.
            if memberProcesses(directory).contains(pid) { held.send(SIGKILL) }
        }
    }
}

/// Whether a process is in the control group.
package func hasMembers(controlGroup path: [UInt8]) -> Bool {
    !memberProcesses(String(decoding: path, as: UTF8.self)).isEmpty
}

private func memberProcesses(_ directory: String) -> [Int32] {
    let text = (try? SmallFile.read(directory + "/cgroup.procs")) ?? ""
    return text.split(separator: "\n").compactMap { Int32($0) }
}
