// Log lines about the output of children.

import PreforkSystem

extension OutputCollector {
    func tell(_ bytes: UnsafeRawBufferPointer, of stream: Stream) {
        let (owner, pid) = (stream.owner, stream.pid)
        let head = OutputHead(bytes, pid: pid, name: owner.name)
        let text = OutputHead.plain(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(head?.length ?? 0)))
        let line = LogLine(
            head?.level ?? .notice, "\(owner.name) (pid \(pid)): \(text)", LogFields(owner, pid: pid, cause: .output))
        say(line, .own(.output))
    }

    func tellLost(_ stream: Stream) {
        stream.lostDue = nil
        guard let lost = stream.lines.takeLost() else { return }
        told.add(lost)
        let (owner, pid) = (stream.owner, stream.pid)
        let size = lost.bytes < 1 << 20 ? "\(lost.bytes) bytes" : "\(lost.bytes >> 20) MiB"
        let (child, all) = (OutputAllowance.ofChild, OutputAllowance.ofAll)
        let limit = "at most \(child.bytes >> 20) MiB and \(child.lines) lines a second are kept, "
            + "\(all.bytes >> 20) MiB and \(all.lines) lines of all"
        let text = "\(owner.name) (pid \(pid)): \(size) of its output discarded: \(limit)"
        say(LogLine(.warning, text, LogFields(owner, pid: pid, cause: .output)), .own(.output))
    }
}
