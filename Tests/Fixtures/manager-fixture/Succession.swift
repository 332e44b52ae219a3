// A worker and a managed process that talk to each other while each of them is replaced.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Numbers of one sender process after the other, each process with numbers from its own million on.
private struct Sequence {
    let words: SharedWords
    /// The words of this sequence: the last number, how many came, how many were out of order.
    let first: Int

    /// The last number of a process that has left and the first one of its successor may be any two.
    func take(_ number: Int) {
        let last = words[first]
        let isNext = number == last + 1 || number % 1_000_000 == 0 && number > last
        if !isNext { _ = words.next(first + 2) }
        words[first] = number
        _ = words.next(first + 1)
    }

    var count: Int { words[first + 1] }
    var wrong: Int { words[first + 2] }
}

/// The form of the README: worker 0 sends to a managed process, which sends each number back.
///
/// - Parameter arguments: a path: when that file is there, worker 0 sends no more, and says what has come back. With
///   ".restart" behind it: when that is there, worker 1 has the managed process restarted, and removes it.
func successionScenario(_ arguments: [String]) throws {
    let words = try SharedWords()
    let (there, back) = (Sequence(words: words, first: 10), Sequence(words: words, first: 20))
    let end = arguments[0]
    let runtime = ForkRuntime(workers: .count(2))
    var options = TargetOptions(onFailure: .restart(RestartPolicy()), readiness: .manual)
    options.grace = .seconds(60)
    try runtime.manager.addTarget("nonebot", carrying: Int.self, options) { child in
        try child.passive.onReceive { number in
            there.take(number)
            try await child.active.send(number)
        }
        child.ready()
        say("nonebot \(child.generation) is ready")
        try await child.stopRequested.wait()
        return 0
    }
    let summary = try runtime.run { worker in
        if worker.taskID == 1 {
            while !worker.stopRequested.isRequested {
                if unlink(end + ".restart") == 0 { try Channel<Int>.named("nonebot-active").send(control: .restart) }
                try await EventLoop.sleep(for: .milliseconds(1))
            }
            return
        }
        let channels = try ChannelDeliver<Int>.facing("nonebot")
        try channels.active.onReceive { number in back.take(number) }
        try channels.active.onPeer { event in
            if case .died = event { say("event \(event)") }
        }
        var number = words.next(0) * 1_000_000
        while !worker.stopRequested.isRequested, access(end, F_OK) != 0 {
            try await channels.passive.send(number)
            number += 1
            _ = words.next(1)
            if number % 1_000_000 == 1 { say("worker 0 sends, its process \(words[0])") }
            try await EventLoop.sleep(for: .milliseconds(1))
        }
        while !worker.stopRequested.isRequested {
            if back.count == words[1], words.next(2) == 1 { say("all have come back") }
            try await EventLoop.sleep(for: .milliseconds(1))
        }
    }
    say("lost \(words[1] - there.count) \(words[1] - back.count), wrong \(there.wrong) \(back.wrong)")
    say("outcome \(summary.outcome), children \(childCount)")
    exit(summary.outcome.exitCode)
}
