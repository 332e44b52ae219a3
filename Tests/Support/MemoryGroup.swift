// A control group with a memory limit, for programs that must run into it.

import Glibc

/// A memory control group for one test. Needs root and a writable hierarchy. Removed when the object goes.
public final class MemoryGroup {
    public let path: String

    /// Whether this machine lets a test make one: cgroup v1, which leaves the test runner's own group alone.
    public static var isAvailable: Bool { access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) == 0 }

    /// - Parameter limit: in bytes.
    public init(limit: Int) throws {
        path = "/sys/fs/cgroup/memory/prefork-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        guard mkdir(path, 0o755) == 0 else { throw NotInTime(description: "mkdir \(path): errno \(errno)") }
        guard let file = fopen(path + "/memory.limit_in_bytes", "w") else {
            throw NotInTime(description: "no limit in \(path): errno \(errno)")
        }
        fputs("\(limit)", file)
        fclose(file)
    }

    deinit {
        // Busy until the last process in it is gone, which is on its way out: bounded all the same.
        for _ in 0..<1_000 where rmdir(path) != 0 && errno == EBUSY { usleep(2_000) }
    }

    /// Shell command that moves its process into the group.
    public var joining: String { "echo $$ > \(path)/cgroup.procs" }
}
