// What the scenarios share: a manager that says what it does, and what the process has.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// What an operation has thrown.
func failure(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "nothing"
    } catch let error as ProcessError {
        return "\(error.code)\(error.path.isEmpty ? "" : " by \(error.path.joined(separator: ">"))")"
    } catch {
        return "\(error)"
    }
}

/// A manager whose hooks say what they are told.
func talkingManager(grace: Duration = .seconds(10)) -> ProcessManager {
    var hooks = ProcessHooks()
    hooks.beforeProcessShutdown.append { say("shutdown \($0)") }
    hooks.beforeProcessRestart.append { say("restart \($0)") }
    hooks.afterExit.append { name, exit in say("exit \(name) \(exit.generation) \(exit.status)") }
    return ProcessManager(hooks: hooks, grace: grace)
}

/// Turns until `isDone`. A scenario that waits in vain ends by itself.
func turn(_ manager: ProcessManager, until isDone: () throws -> Bool) throws {
    let end = MonotonicInstant.now + .seconds(20)
    while try !isDone() {
        _ = try manager.turn(waitingAtMost: .milliseconds(50))
        if MonotonicInstant.now > end {
            say("not in time")
            exit(76)
        }
    }
}

/// Children of this process, zombies included.
var childCount: Int {
    var text = [UInt8](repeating: 0, count: 1 << 16)
    let file = open("/proc/self/task/\(getpid())/children", O_RDONLY)
    defer { close(file) }
    let count = read(file, &text, text.count)
    return String(decoding: text.prefix(max(0, count)), as: UTF8.self).split(separator: " ").count
}

var descriptorCount: Int { DirectoryListing.names("/proc/self/fd").count }

/// Sleeps until a signal ends it.
func sleepForEver() -> Never {
    while true { pause() }
}
