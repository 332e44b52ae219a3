// From the SIGKILL of a writer that was stopped inside a lock to the end of the next set under that lock.

import Glibc
import Prefork
import PreforkSystem

@Sendable func recoveryRow(_ arguments: Arguments) throws {
    let store = try MeasuredStore()
    var seconds: [Double] = []
    while seconds.count < (try arguments.integer(0)) {
        // Of the writers that are stopped at some instant, some are outside of the lock: they do not count.
        if let recovery = try killOneWriter(of: store) { seconds.append(recovery) }
    }
    report(latencies: seconds)
}

/// - Returns: nil when the writer did not hold the lock.
private func killOneWriter(of store: MeasuredStore) throws -> Double? {
    let before = store.store.stats.recoveries
    let parent = getpid()
    guard case .parent(let child) = try forkProcess() else {
        guard becomeChild(of: parent, closing: []) else { exitChild(code: 1) }
        setForEver(store)
    }
    usleep(UInt32.random(in: 300..<600))
    kill(child, SIGSTOP)
    waitpid(child, nil, WUNTRACED)
    let start = now()
    kill(child, SIGKILL)
    try store.store.set(store.keys[0], store.values[1])
    let seconds = now() - start
    waitpid(child, nil, 0)
    try store.getIntoBuffer(0, 0)
    return store.store.stats.recoveries > before ? seconds : nil
}

/// It never returns: an error would show as a row that never ends, so the process ends with it.
private func setForEver(_ store: MeasuredStore) -> Never {
    var round = 0
    while (try? store.store.set(store.keys[0], store.values[round & 15])) != nil { round &+= 1 }
    exitChild(code: 70)
}
