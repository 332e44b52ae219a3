// Notification when the kernel's out-of-memory killer strikes in this control group.

import CPrefork
import Glibc

/// A descriptor that becomes readable when the counter of `OutOfMemoryKills` rises, or is about to.
///
/// Version 2: inotify(7) on memory.events, which the kernel modifies with each step, at most every 10 ms
/// (`cgroup_file_notify`). Version 1: an eventfd that memory.oom_control raises when the group has no memory left. The
/// kernel raises it before it chooses a process to kill, so that the counter follows a moment later.
package final class OutOfMemoryWatch {
    private let descriptor: Descriptor

    /// - Throws: the error of the call that the kernel or the mount refused. In version 1 cgroup.event_control must be
    ///   writable, which it is for root alone.
    package init(_ kills: OutOfMemoryKills) throws(SystemError) {
        switch kills.source {
        case .events(let path): descriptor = try Self.modifications(of: path)
        case .control(let path): descriptor = try Self.shortages(of: path)
        case nil: throw SystemError("inotify_add_watch", .noEntry, on: "memory.events")
        }
    }

    package var number: Int32 { descriptor.number }

    private static func modifications(of path: String) throws(SystemError) -> Descriptor {
        let flags = Int32(IN_CLOEXEC | IN_NONBLOCK)
        let notices = Descriptor(owning: try systemCall("inotify_init1") { inotify_init1(flags) })
        try systemCall("inotify_add_watch", on: path) {
            inotify_add_watch(notices.number, path, UInt32(IN_MODIFY))
        }
        return notices
    }

    private static func shortages(of path: String) throws(SystemError) -> Descriptor {
        let register = String(path.dropLast(OutOfMemoryKills.controlName.count)) + "cgroup.event_control"
        let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
        let counter = Descriptor(owning: try systemCall("eventfd") { eventfd(0, flags) })
        let control = Descriptor(
            owning: try systemCall("open", on: path) { cprefork_open(path, O_RDONLY | O_CLOEXEC, 0) })
        let orders = Descriptor(
            owning: try systemCall("open", on: register) { cprefork_open(register, O_WRONLY | O_CLOEXEC, 0) })
        let order = Array("\(counter.number) \(control.number)".utf8)
        try systemCall("write", on: register) { Glibc.write(orders.number, order, order.count) }
        return counter
    }

    /// Takes the notifications so far, in one read. The descriptor stays readable if there is more.
    package func clear() {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            while Glibc.read(descriptor.number, bytes.baseAddress, bytes.count) < 0, Errno.current == .interrupted {}
        }
    }
}
