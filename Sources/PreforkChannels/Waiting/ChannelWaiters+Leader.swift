// The one thread of a process that listens to an end's bell, for itself and for the others.

import PreforkSystem

extension ChannelWaiters {
    var hasLeader: Bool { withState { $0.hasLeader } }

    /// - Returns: true when the caller now leads.
    func becomeLeader(since epoch: UInt64) -> Bool {
        withState { state in
            guard !state.hasLeader, state.epoch == epoch else { return false }
            state.hasLeader = true
            return true
        }
    }

    /// Where the leader waits: always the same one, so that leading costs no descriptor each time.
    func leaderParking() throws(SystemError) -> ThreadParking {
        if let known = withState({ $0.leaderParking }) {
            // A remnant of the last leader. A ring at this moment wakes no thread, which does no harm.
            known.bell.clear()
            return known
        }
        let new = try ThreadParking()
        withState { $0.leaderParking = new }
        return new
    }

    /// Another thread may lead: wake the followers.
    func stopLeading() {
        withState { $0.hasLeader = false }
        wakeAll(andCalls: true)
    }
}

/// Where a plain thread waits that is not the first one.
final class ThreadParking: Sendable {
    let bell: Bell

    init() throws(SystemError) {
        bell = try Bell()
    }
}
