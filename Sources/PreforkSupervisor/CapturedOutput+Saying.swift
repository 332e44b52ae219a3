// What the log says of the output of children.

import PreforkSystem

extension CapturedOutput {
    static func line(_ bytes: UnsafeRawBufferPointer, of owner: OutputOwner, pid: Int32) -> LogLine {
        let head = OutputHead(bytes, pid: pid, name: owner.name)
        let text = OutputHead.plain(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(head?.length ?? 0)))
        return LogLine(
            head?.level ?? .notice, "\(owner.name) (pid \(pid)): \(text)", LogFields(owner, pid: pid, cause: .output))
    }

    func tellLost(_ number: UInt64) {
        streams[number]?.lostDue = nil
        guard let owner = streams[number]?.owner, let pid = streams[number]?.pid,
            let lost = streams[number]?.lines.takeLost()
        else { return }
        let size = lost.bytes < 1 << 20 ? "\(lost.bytes) bytes" : "\(lost.bytes >> 20) MiB"
        let (child, all) = (OutputAllowance.ofChild >> 20, OutputAllowance.ofAll >> 20)
        let limit = "at most \(child) MiB a second is kept, \(all) of all"
        let text = "\(owner.name) (pid \(pid)): \(size) of its output thrown away: \(limit)"
        say(LogLine(.warning, text, LogFields(owner, pid: pid, cause: .output)), .own(.output))
    }
}
