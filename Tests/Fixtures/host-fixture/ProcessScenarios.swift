// Orphans and hung workers.

import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// `orphans [subreaper] [behind]`: three orphans come to this process and end; a worker that has ended, too, is left
/// alone. `behind`: the worker is the first among the ended.
func orphansScenario(_ arguments: [String]) throws {
    if arguments.contains("subreaper") { try Strangers.becomeSubreaper() }
    say("pid 1 \(getpid() == 1) duties \(InitDuties.areNeeded)")
    let words = try SharedWords()
    let worker = try child { if !arguments.contains("behind") { until { words[0] == 1 } } }
    if arguments.contains("behind") { until { state(of: worker) == "Z" } }
    var orphans: Set<Int32> = []
    for index in 0..<3 {
        let parent = try child {
            if case .parent(let pid) = try forkProcess() {
                words[10 + index] = Int(pid)
            } else {
                until { words[1] == 1 }
                _exit(3)
            }
        }
        waitForEnd(parent)
        orphans.insert(Int32(words[10 + index]))
    }
    until { Set(Strangers.children(except: [worker])) == orphans }
    require(InitDuties.reapStrangers(except: [worker]).isEmpty, "reaped somebody who lives")
    words[1] = 1
    until { orphans.allSatisfy { state(of: $0) == "Z" } }
    words[0] = 1
    until { state(of: worker) == "Z" }
    let reaped = InitDuties.reapStrangers(except: [worker])
    require(Set(reaped) == orphans && reaped.count == 3, "reaped \(reaped) and not \(orphans)")
    require(InitDuties.reapStrangers(except: [worker]).isEmpty, "reaped twice")
    require(waitForEnd(worker) == 0, "the worker's status is lost")
    require(InitDuties.reapStrangers(except: []).isEmpty, "a child was left")
    say("reaped 3")
}

/// `orphans-end`: an orphan is asked to end before PID 1 does.
func orphansEndScenario(_ arguments: [String]) throws {
    if getpid() != 1 { try Strangers.becomeSubreaper() }
    let words = try SharedWords()
    join(
        try child {
            guard case .child = try forkProcess() else { return }
            signal(SIGTERM, SIG_DFL)
            words[0] = Int(getpid())
            while true { pause() }
        })
    until { words[0] != 0 && !Strangers.children(except: []).isEmpty }
    require(InitDuties.askStrangersToEnd(except: []) == 1, "nobody was asked")
    var reaped: [Int32] = []
    until {
        reaped += InitDuties.reapStrangers(except: [])
        return !reaped.isEmpty
    }
    require(reaped == [Int32(words[0])], "reaped \(reaped)")
    say("asked and reaped")
}

/// `hang WHERE SIGNAL`: installs the stack dump and hangs: in a loop, in a read, or in abort.
func hangScenario(_ arguments: [String]) throws {
    let signal = Signal(rawValue: arguments.number(1, default: StackDump.defaultSignal.rawValue))
    let copy = try duplicate(STDERR_FILENO)
    try StackDump.install(on: signal, descriptor: copy)
    say("signal \(signal.rawValue)")
    switch arguments[0] {
    case "loop": hangInALoop()
    case "read":
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        var byte: UInt8 = 0
        say("reading \(ends[0])")
        _ = read(ends[0], &byte, 1)
        say("read returned")
    case "full":
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        let room = fcntl(ends[1], F_SETPIPE_SZ_VALUE, 4096)
        var bytes = [UInt8](repeating: 0, count: Int(room))
        _ = write(ends[1], &bytes, bytes.count)
        StackDump.redirect(to: ends[1])
        say("full")
        raise(signal.rawValue)
        StackDump.redirect(to: nil)
        raise(signal.rawValue)
        say("dumps \(StackDump.count)")
    default: abort()
    }
}

private let F_SETPIPE_SZ_VALUE: Int32 = 1031

@inline(never)
public func hangInALoop() {
    say("looping")
    var number: UInt64 = 1
    while number != 0 { number = number &* 3 | 1 }
    say("\(number)")
}
