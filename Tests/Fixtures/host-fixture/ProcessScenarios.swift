// Orphans and hung workers.

import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// `orphans [subreaper] [behind]`: three orphans come to this process and end. A worker that has ended, too, is left
/// alone. `behind`: the worker is the first among the ended.
func orphansScenario(_ arguments: [String]) throws {
    if arguments.contains("subreaper") { try AdoptedOrphans.becomeSubreaper() }
    say("pid 1 \(getpid() == 1) duties \(InitReaper.areNeeded)")
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
    until { Set(AdoptedOrphans.children(except: [worker])) == orphans }
    require(InitReaper.reapStrangers(except: [worker]).isEmpty, "reaped somebody who lives")
    words[1] = 1
    until { orphans.allSatisfy { state(of: $0) == "Z" } }
    words[0] = 1
    until { state(of: worker) == "Z" }
    let reaped = InitReaper.reapStrangers(except: [worker])
    require(Set(reaped) == orphans && reaped.count == 3, "reaped \(reaped) and not \(orphans)")
    require(InitReaper.reapStrangers(except: [worker]).isEmpty, "reaped twice")
    require(waitForEnd(worker) == 0, "the worker's status is lost")
    require(InitReaper.reapStrangers(except: []).isEmpty, "a child was left")
    say("reaped 3")
}

/// `orphans-end`: an orphan, and the one that it leaves behind, are asked to end before PID 1 does.
func orphansEndScenario(_ arguments: [String]) throws {
    if getpid() != 1 { try AdoptedOrphans.becomeSubreaper() }
    let words = try SharedWords()
    join(
        try child {
            guard case .child = try forkProcess() else { return }
            signal(SIGTERM, SIG_DFL)
            if case .child = try forkProcess() { words[1] = Int(getpid()) } else { words[0] = Int(getpid()) }
            while true { pause() }
        })
    until { words[0] != 0 && words[1] != 0 && AdoptedOrphans.children(except: []) == [Int32(words[0])] }
    InitReaper.endStrangers(except: [Int32(words[0])], within: .seconds(30))
    require(kill(Int32(words[0]), 0) == 0, "somebody known was asked")
    InitReaper.endStrangers(except: [], within: .seconds(30))
    for index in 0..<2 { require(kill(Int32(words[index]), 0) != 0, "\(words[index]) is left") }
    say("asked and reaped")
}

/// `hang WHERE SIGNAL`: a child installs the stack dump and hangs: in a loop, in a read, or in abort. This process reads
/// the dumps and writes them to standard error, as a supervisor does. `full`: the doorbell takes no more.
func hangScenario(_ arguments: [String]) throws {
    let signal = Signal(rawValue: arguments.number(1, default: StackDump.defaultSignal.rawValue))
    let area = try sharedBytes(StackDump.byteCount)
    let bell = try EventCounter()
    let number = bell.descriptor.number
    let hung = try child {
        if arguments[0] == "full" { fill(number) }
        try StackDump.install(on: signal, into: area, doorbell: number)
        try hang(arguments[0], signal)
    }
    say("child \(hung) signal \(signal.rawValue)")
    let program = try ProgramImage.path()
    var known: UInt64 = 0
    while waitpid(hung, nil, WNOHANG) == 0 {
        _ = try Polling.waitUntilReadable([number], until: .now + .milliseconds(20))
        if arguments[0] != "full" { bell.clear() }
        known = tell(area, after: known, program)
    }
    _ = tell(area, after: known, program)
}

private func tell(_ area: UnsafeMutableRawPointer, after known: UInt64, _ program: String) -> UInt64 {
    if case .dump(let dump) = StackDump.read(area, after: known) { dump.lines(program: program).forEach(complain) }
    return StackDump.number(in: area)
}

private func fill(_ bell: Int32) {
    var most = UInt64.max - 1
    require(write(bell, &most, 8) == 8, "the doorbell is not full")
}

private func hang(_ place: String, _ signal: Signal) throws {
    switch place {
    case "loop": hangInALoop()
    case "read":
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        var byte: UInt8 = 0
        say("reading \(ends[0])")
        _ = read(ends[0], &byte, 1)
        say("read returned")
    case "full":
        raise(signal.rawValue)
        say("goes on")
    default: abort()
    }
}

@inline(never)
public func hangInALoop() {
    say("looping")
    var number: UInt64 = 1
    while number != 0 { number = number &* 3 | 1 }
    say("\(number)")
}
