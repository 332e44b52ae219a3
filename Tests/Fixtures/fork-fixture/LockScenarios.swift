// A lock in shared memory whose owner is killed or stopped.

import Glibc
import PreforkSystem

/// Makes a lock, and a child that takes it and then runs `body`; returns when the child has it.
private func lockHeldByChild(_ body: () -> Void) throws -> (lock: RobustLock, child: ChildProcess) {
    let mapping = try SharedMapping(byteCount: 4096)
    let lock = try RobustLock.make(at: mapping.base)
    let ready = try makePipe()
    // Kept mapped for ever: the lock points into it.
    let base = mapping.base
    _ = Unmanaged.passRetained(Keeper(mapping))
    guard case .parent(let pid) = try forkProcess() else {
        _ = try RobustLock(at: base).lock()
        _ = write(ready.writing, "x", 1)
        body()
        _exit(0)
    }
    var byte: UInt8 = 0
    while read(ready.reading, &byte, 1) != 1 { usleep(100) }
    return (lock, ChildProcess(pid: pid))
}

private final class Keeper {
    let mapping: SharedMapping

    init(_ mapping: consuming SharedMapping) {
        self.mapping = mapping
    }
}

private func reap(_ child: ChildProcess) throws {
    while try child.reap() == nil { usleep(100) }
}

func lockOwnerDiesScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { while true { pause() } }
    say("tried: \(Result { () throws(SystemError) in try lock.lock(timeout: 0) })")
    try child.send(.kill)
    // Waits for the owner's death, not for its time.
    let acquisition = try lock.lock(timeout: 20_000_000_000)
    say("after the kill: \(acquisition)")
    lock.declareRecovered()
    lock.unlock()
    say("after the recovery: \(try lock.lock(timeout: 0))")
    lock.unlock()
    try reap(child)
}

func lockNotRecoveredScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { raise(SIGKILL) }
    try reap(child)
    say("\(try lock.lock(timeout: 0))")
    lock.unlock()
    say("\(Result { () throws(SystemError) in try lock.lock(timeout: 0) })")
}

func lockOwnerStoppedScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { raise(SIGSTOP) }
    say("\(Result { () throws(SystemError) in try lock.lock(timeout: 20_000_000) })")
    try child.send(.resume)
    // It ends with the lock held: an exit is a death, too.
    say("\(try lock.lock(timeout: 20_000_000_000))")
    lock.declareRecovered()
    lock.unlock()
    try reap(child)
}
