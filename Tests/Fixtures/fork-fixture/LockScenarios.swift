// A lock in shared memory whose owner is killed or stopped.

import PreforkFixtureSupport
import PreforkSystem

/// Makes a lock, and a child that takes it and then runs `body`; returns when the child has it.
private func lockHeldByChild(_ body: () -> Void) throws -> (lock: RobustLock, child: Int32) {
    let base = try sharedBytes(4096)
    let lock = try RobustLock.make(at: base)
    let words = try SharedWords()
    let child = try child {
        _ = try RobustLock(at: base).lock()
        words[0] = 1
        body()
    }
    until { words[0] == 1 }
    return (lock, child)
}

func lockOwnerDiesScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { while true { pause() } }
    say("tried: \(Result { () throws(SystemError) in try lock.lock(timeout: 0) })")
    kill(child, SIGKILL)
    // Waits for the owner's death, not for its time.
    let acquisition = try lock.lock(timeout: 20_000_000_000)
    say("after the kill: \(acquisition)")
    lock.declareRecovered()
    lock.unlock()
    say("after the recovery: \(try lock.lock(timeout: 0))")
    lock.unlock()
    waitForEnd(child)
}

func lockNotRecoveredScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { raise(SIGKILL) }
    waitForEnd(child)
    say("\(try lock.lock(timeout: 0))")
    lock.unlock()
    say("\(Result { () throws(SystemError) in try lock.lock(timeout: 0) })")
}

func lockOwnerStoppedScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { raise(SIGSTOP) }
    say("\(Result { () throws(SystemError) in try lock.lock(timeout: 20_000_000) })")
    kill(child, SIGCONT)
    // It ends with the lock held: an exit is a death, too.
    say("\(try lock.lock(timeout: 20_000_000_000))")
    lock.declareRecovered()
    lock.unlock()
    waitForEnd(child)
}
