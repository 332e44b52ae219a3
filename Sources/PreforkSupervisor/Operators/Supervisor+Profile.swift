// Profiles of workers: who samples itself, and what they have found.

package import PreforkSystem

/// A client's step of a profile.
package enum ProfileRequest: Equatable, Sendable {
    case begin(ProfileOrder)
    /// What is known since the last time. The client asks several times a second, because lanes are short.
    case collect(number: Int64)
    case end(number: Int64)
}

package enum ProfileAnswer: Sendable {
    /// - objects: where the program and its libraries lie in all workers.
    case begun(number: Int64, workers: Int, objects: [LoadedObject], program: String)
    case part(ProfilePart)
    case refused(String)
}

extension Supervisor {
    package func profile(_ request: ProfileRequest) -> ProfileAnswer {
        switch request {
        case .begin(let order): return beginProfile(order)
        case .collect(let number):
            guard profileRun?.number == number else { return .refused("no such profile is in progress") }
            readLanes()
            if profileRun?.secondsLeft(at: .now) != nil { sampleWorkers(isLate: true) }
            guard let part = profileRun?.take(at: .now) else { return .refused("no such profile is in progress") }
            if part.isOver { profileRun = nil }
            return .part(part)
        case .end(let number):
            guard let run = profileRun, run.number == number else { return .refused("no such profile is in progress") }
            readLanes()
            for subject in run.subjects.values { profiles?.end(subject.pid) }
            var part = profileRun?.take(at: .now) ?? ProfilePart()
            part.isOver = true
            profileRun = nil
            return .part(part)
        }
    }

    private func beginProfile(_ order: ProfileOrder) -> ProfileAnswer {
        guard profiles != nil else { return .refused("there is no memory for samples") }
        if let run = profileRun {
            guard run.isAbandoned(at: .now) else {
                let left = run.end + ProfileRun.grace - .now
                return .refused("another profile is in progress, for at most \(left.short)")
            }
            for subject in run.subjects.values { profiles?.end(subject.pid) }
        }
        if let slot = order.slot, !workers.entries.values.contains(where: { $0.slot == slot }) {
            return .refused("there is no worker \(slot)")
        }
        profileRun = ProfileRun(number: MonotonicInstant.now.nanoseconds & Int64.max >> 10, order, at: .now)
        sampleWorkers(isLate: false)
        let count = profileRun?.subjects.count ?? 0
        if count == 0 {
            profileRun = nil
            return .refused("no worker of this program can be sampled: those of the previous one cannot")
        }
        return .begun(number: profileRun?.number ?? 0, workers: count, objects: LoadedObject.all, program: program)
    }

    /// Gives the order to workers that have not got it. Those of the previous program have other memory.
    private func sampleWorkers(isLate: Bool) {
        guard var run = profileRun, let profiles, let seconds = run.secondsLeft(at: .now) else { return }
        for (spawn, entry) in workers.entries.sorted(by: { $0.key < $1.key }) where !entry.isInherited {
            guard let lane = run.lane(for: spawn, slot: entry.slot) else { continue }
            let pid = entry.child.pid
            // One that is booting has no handler yet: the next time.
            let order = run.order
            guard (try? profiles.begin(pid, lane: lane, rate: order.rate, seconds: seconds)) == true else { continue }
            run.began(.init(spawn: spawn, slot: entry.slot, pid: pid, lane: lane), isLate: isLate)
        }
        profileRun = run
    }

    private func readLanes() {
        for spawn in profileRun?.subjects.keys.sorted() ?? [] { readLane(of: spawn) }
    }

    private func readLane(of spawn: UInt64) {
        guard let profiles, let subject = profileRun?.subjects[spawn] else { return }
        var position = subject.position
        let (samples, lost) = profiles.read(subject.lane, from: &position)
        profileRun?.read(spawn, to: position, samples, lost: lost)
        if let errno = profiles.refusal(subject.lane) { profileRun?.wasRefused(spawn, errno) }
    }

    /// Called when a worker is reaped.
    func endProfile(of spawn: UInt64) {
        guard profileRun != nil else { return }
        readLane(of: spawn)
        profileRun?.ended(spawn, at: .now)
    }
}
