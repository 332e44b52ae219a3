// How the new program of an upgrade ends before it has shown that it holds, and how its trial does.

import Glibc
import PreforkFixtureSupport
import PreforkSystem
import StepsC

/// What this image of the program is. Read from the environment, as the first thing that the program does.
enum Image: String {
    case first, trial, new, back

    static let current: Image = {
        let parts = (getenv("PREFORK_HANDOVER").map { String(cString: $0) } ?? "").split(separator: ":")
        if parts.count < 2 { return .first }
        return parts.count == 2 ? .new : Image(rawValue: String(parts[2])) ?? .first
    }()
}

/// Switches `new-PLACE-KIND` end the new program of an upgrade at a place in its main program or in a hook, and neither
/// its trial nor the program before.
struct Ending: Sendable {
    enum Kind: String, CaseIterable {
        case exit, quick, fatal, memory, recursion, abort, thread, hang, children, sleep, spin
    }

    let switches: Switches

    func at(_ place: String) {
        guard Image.current == .new else { return }
        for kind in Kind.allCases where switches.isOn("new-\(place)-\(kind.rawValue)") { end(by: kind) }
    }

    private func end(by kind: Kind) {
        switch kind {
        case .exit:
            // Not a whole line: only the end of the process writes it.
            print("last words", terminator: "")
            Glibc.exit(7)
        case .quick: quick_exit(9)
        case .fatal: CrashKind.fatal.crash(1)
        case .memory: CrashKind.memory.crash(1)
        case .recursion: CrashKind.recursion.crash(1)
        case .abort: CrashKind.abort.crash(1)
        case .thread:
            var thread = pthread_t()
            pthread_create(&thread, nil, { _ in CrashKind.memory.crash(1); return nil }, nil)
            while true { Glibc.sleep(1) }
        case .sleep: while true { Glibc.sleep(1_000) }
        case .spin:
            var count: UInt64 = 0
            while true { count &+= UInt64(getpid()) }
        case .hang:
            say("new program waits")
            switches.wait(while: "hold")
            CrashKind.fatal.crash(1)
        case .children:
            // Children of the program's own, which are not the program.
            for kind in [Kind.exit, .abort, .memory] {
                let child = fork()
                if child == 0 { end(by: kind) }
                say("own child ended with \(waitForEnd(child))")
            }
        }
    }
}

/// A step of a trial's main program. The switch `trial-step-NAME` kills the trial there. `trial-call-NAME-ERRNO` makes
/// a system call fail from the first step on, or kills the trial at it where the number of the error is 0.
func trialStep(_ name: String, _ switches: Switches) {
    guard Image.current == .trial else { return }
    if switches.isOn("trial-step-\(name)") { kill(getpid(), SIGKILL) }
    guard name == "start" else { return }
    for entry in DirectoryListing.names(switches.folder) where entry.hasPrefix("trial-call-") {
        let words = entry.split(separator: "-").map(String.init)
        require(words.count == 4 && fixture_refuse_call(words[2], Int32(words[3]) ?? 0) == 0, "no filter for \(entry)")
    }
}
