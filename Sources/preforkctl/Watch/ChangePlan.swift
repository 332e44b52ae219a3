// When to build after changes, as a value.

import PreforkSystem

/// What follows on changes of the sources: a build when changes have stopped, and an upgrade if the build succeeds. One
/// thing at a time. Changes while something runs count for the next build.
struct ChangePlan: Equatable, Sendable {
    enum Step: Equatable, Sendable {
        /// Nothing until then, or until the next change. If nil, until the next change.
        case wait(until: MonotonicInstant?)
        case build
    }

    /// What follows on a build.
    enum Result: Equatable, Sendable {
        case upgrade
        /// The sources have changed in the meantime: what was built is old already.
        case buildAgain
        /// The old program keeps running. The next change is awaited.
        case keepOld
    }

    private struct Burst: Equatable {
        var first: MonotonicInstant
        var last: MonotonicInstant
    }

    /// So long nothing must have changed: an editor writes several files, a version control system hundreds.
    let quiet: Duration
    /// So long a build waits at most for that.
    let longest: Duration
    private var burst: Burst?
    private var isBuilding = false

    init(quiet: Duration = .milliseconds(200), longest: Duration = .seconds(3)) {
        self.quiet = quiet
        self.longest = longest
    }

    mutating func noteChange(at now: MonotonicInstant) {
        burst = Burst(first: burst?.first ?? now, last: now)
    }

    /// The action to take now. After `.build`, call `endBuild`.
    mutating func step(at now: MonotonicInstant) -> Step {
        guard let burst, !isBuilding else { return .wait(until: nil) }
        let due = min(burst.last + quiet, burst.first + longest)
        if now < due { return .wait(until: due) }
        self.burst = nil
        isBuilding = true
        return .build
    }

    mutating func endBuild(succeeded: Bool) -> Result {
        isBuilding = false
        if burst != nil { return .buildAgain }
        return succeeded ? .upgrade : .keepOld
    }
}
