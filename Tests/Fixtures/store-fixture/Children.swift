// Children that share this program's memory, and numbers that a seed repeats.

import Glibc
import PreforkSystem

/// Forks a child that runs `body` and ends; it dies with this process.
func child(_ body: () throws -> Void) throws -> pid_t {
    let parent = getpid()
    switch try forkProcess() {
    case .parent(let pid): return pid
    case .child:
        guard becomeChild(of: parent, closing: []) else { _exit(75) }
        do {
            try body()
            _exit(0)
        } catch {
            say("child: \(error)")
            _exit(75)
        }
    }
}

func killAndReap(_ pid: pid_t) {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
}

/// Waits for a child's own end and returns its exit code; 128 + the signal for one that was killed.
func join(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
}

/// Counters that all children share; each is written by one process at a time.
struct SharedCounters: @unchecked Sendable {
    // Sendable: the memory is never unmapped, and a counter is one aligned word.
    private let words: UnsafeMutablePointer<UInt64>

    init(_ count: Int) throws {
        let mapping = try SharedMapping(byteCount: count * 64)
        words = mapping.base.assumingMemoryBound(to: UInt64.self)
        _ = Unmanaged.passRetained(Keeper(mapping))
    }

    subscript(index: Int) -> UInt64 {
        get { UnsafePointer(words)[index * 8] }
        nonmutating set { words[index * 8] = newValue }
    }

    private final class Keeper {
        let mapping: SharedMapping
        init(_ mapping: consuming SharedMapping) { self.mapping = mapping }
    }
}
