// A lock in shared memory whose owner is killed, stopped, forked or replaced.

import PreforkFixtureSupport
import PreforkSystem
import Synchronization

private let second: Int64 = 1_000_000_000

private func acquisition(_ lock: SharedLock, within limit: Int64) -> String {
    var patience = LockPatience(limit: limit)
    do {
        return "\(try lock.lock(&patience))"
    } catch {
        return "\(error)"
    }
}

/// Makes a lock, and a child that takes it and then runs `body`. Returns when the child has it.
private func lockHeldByChild(_ body: (SharedLock) -> Void) throws -> (lock: SharedLock, child: Int32) {
    LockPatience.allowLongWaits()
    let lock = SharedLock(at: try sharedBytes(4096))
    let words = try SharedWords()
    let child = try child {
        _ = acquisition(lock, within: 0)
        words[0] = 1
        body(lock)
    }
    until { words[0] == 1 }
    return (lock, child)
}

func lockOwnerDiesScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { _ in while true { pause() } }
    say("tried: \(acquisition(lock, within: 0))")
    kill(child, SIGKILL)
    // Waits for the owner's death, not for its time.
    say("after the kill: \(acquisition(lock, within: 20 * second))")
    lock.unlock()
    say("after the recovery: \(acquisition(lock, within: 0))")
    lock.unlock()
    waitForEnd(child)
}

func lockOwnerZombieScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { _ in _exit(0) }
    until { state(of: child) == "Z" }
    say(acquisition(lock, within: 0))
    waitForEnd(child)
}

func lockNotRepairedScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { _ in raise(SIGKILL) }
    waitForEnd(child)
    say(acquisition(lock, within: 0))
    lock.unlockForRepair()
    say(acquisition(lock, within: 0))
    lock.unlock()
    say(acquisition(lock, within: 0))
}

func lockOwnerStoppedScenario(_ arguments: [String]) throws {
    let (lock, child) = try lockHeldByChild { _ in raise(SIGSTOP) }
    until { state(of: child) == "T" }
    let before = lock.owner
    let start = MonotonicInstant.now
    let found = acquisition(lock, within: 300_000_000)
    say("\(found) after the limit \(MonotonicInstant.now - start >= .milliseconds(300))")
    say("still its own \(lock.owner == before)")
    kill(child, SIGCONT)
    // It ends with the lock held: an exit is a death, too.
    say("after its end: \(acquisition(lock, within: 20 * second))")
    lock.unlock()
    waitForEnd(child)
}

/// Another process writes that this one has the lock.
func lockNamesItsCallerScenario(_ arguments: [String]) throws {
    LockPatience.allowLongWaits()
    let lock = SharedLock(at: try sharedBytes(4096))
    lock.word.pointee.store(LockOwner.current.word | LockOwner.waiting, ordering: .relaxed)
    say("without waiting: \(acquisition(lock, within: 0))")
    let sibling = try child { say("sibling: \(acquisition(lock, within: 20_000_000))") }
    waitForEnd(sibling)
    say("named: \(acquisition(lock, within: 20_000_000))")
    say("then: \(acquisition(lock, within: 0))")
    lock.unlock()
    lock.word.pointee.store(LockOwner.current.word, ordering: .relaxed)
    say("disowned: \(lock.disown())")
    say("then: \(acquisition(lock, within: 0))")
    lock.unlock()
    // With a second thread, which might have it, it stays.
    try startThread { while true { pause() } }
    lock.word.pointee.store(LockOwner.current.word, ordering: .relaxed)
    say("two threads: \(acquisition(lock, within: 20_000_000)) \(lock.disown())")
}

func lockForkedChildScenario(_ arguments: [String]) throws {
    let words = try SharedWords()
    let (lock, owner) = try lockHeldByChild { lock in
        do {
            let grandchild = try child {
                say("child: \(acquisition(lock, within: 0))")
                raise(SIGKILL)
            }
            waitForEnd(grandchild)
        } catch {
            fail(error)
        }
        say("child dead, the parent's lock: \(lock.owner == .current)")
        words[0] = 1
        while true { pause() }
    }
    until { words[0] == 1 }
    killAndReap(owner)
    say("parent dead: \(acquisition(lock, within: 0))")
}

func lockChrootScenario(_ arguments: [String]) throws {
    let (lock, owner) = try lockHeldByChild { _ in while true { pause() } }
    let words = try SharedWords()
    let watcher = try child {
        guard chroot("/sys") == 0, chdir("/") == 0 else { fail(SystemError("chroot", .current)) }
        require(access("/proc/self/stat", F_OK) != 0, "/proc in the chroot")
        say(acquisition(lock, within: 0))
        words[0] = 1
        say(acquisition(lock, within: 20 * second))
        lock.unlock()
    }
    until { words[0] == 1 }
    killAndReap(owner)
    join(watcher)
}

/// The lock's memory is a file, for a program that is started anew in the same process.
func lockExecScenario(_ arguments: [String]) throws {
    if let number = arguments.first.flatMap({ Int32($0) }) {
        let mapping = try SharedMapping(MemoryFile(owning: Descriptor(owning: number)), byteCount: 4096)
        return say(acquisition(SharedLock(at: mapping.base), within: 0))
    }
    let file = try MemoryFile(name: "lock", byteCount: 4096)
    let mapping = try SharedMapping(file, byteCount: 4096)
    // One program image of 16,384 has the same number.
    _ = acquisition(SharedLock(at: mapping.base), within: 0)
    let number = try duplicate(file.descriptor.number)
    _ = fcntl(number, F_SETFD, 0)
    let words = [CommandLine.arguments[0], "lock-exec", "\(number)"]
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &argv)
}

func lockNoWorkerScenario(_ arguments: [String]) throws {
    let lock = SharedLock(at: try sharedBytes(4096))
    let words = try SharedWords()
    let owner = try child {
        _ = acquisition(lock, within: 0)
        words[0] = 1
        while true { pause() }
    }
    until { words[0] == 1 }
    let start = MonotonicInstant.now
    let found = acquisition(lock, within: 60 * second)
    say("\(found), within a second \(MonotonicInstant.now - start < .seconds(30))")
    killAndReap(owner)
}

/// Locks that name living processes which cannot have them. Run as root: the one who meets them has another user.
func lockNamesStrangersScenario(_ arguments: [String]) throws {
    LockPatience.allowLongWaits()
    let lock = SharedLock(at: try sharedBytes(4096))
    let words = try SharedWords()
    let supervisor = getpid()
    func meet(_ who: String, _ pid: Int32) throws {
        let start = ProcessIdentity(of: pid)?.startTime ?? 0
        lock.word.pointee.store(UInt64(pid) | 2 << 24 | start << 40, ordering: .relaxed)
        let worker = try child {
            require(setuid(65_534) == 0, "setuid")
            let first = acquisition(lock, within: 20_000_000)
            say("\(who): \(first), \(acquisition(lock, within: 0))")
        }
        waitForEnd(worker)
    }
    try meet("process 1, without a supervisor", 1)
    _ = LockOwner.current
    LockFamily.found(isOwner: { words[0] == 1 }, becomesOwner: { words[0] = 1 })
    let sibling = try child { while true { pause() } }
    let grandchild = try child {
        words[1] = Int(try child { while true { pause() } })
        while true { pause() }
    }
    until { words[1] > 0 }
    try meet("process 1", 1)
    try meet("a sibling of another user", sibling)
    try meet("a child of one", Int32(words[1]))
    try meet("the supervisor", supervisor)
    _ = LockOwner.current
    try meet("the supervisor that calls stores", supervisor)
    kill(Int32(words[1]), SIGKILL)
    for process in [sibling, grandchild] { killAndReap(process) }
}
