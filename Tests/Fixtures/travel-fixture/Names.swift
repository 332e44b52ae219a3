// What is registered outlives its maker, reloads, upgrades.

import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// One worker: the first of all makes and registers, each one counts.
func namesScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    let summary = try runtime.run { worker in
        do {
            let store: SharedStore
            do {
                store = try SharedStore.named("kept")
            } catch let error as StoreError where error.code == .unknownName("kept") {
                store = try SharedStore(capacity: .init(entries: 100, bytes: 1 << 16))
                try store.register(as: "kept")
            }
            // Every one makes and registers this one anew: the successor takes the name over.
            let own = try Channel<String>(name: "own")
            try own.register()
            say("life \(try store.increment("lives")) of \(getpid()), \(descriptorCount()) descriptors")
        } catch {
            say("gap \(error)")
        }
        worker.ready()
        for try await _ in worker.stopRequested {}
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

func descriptorCount() -> Int { (try? DirectoryListing.names("/proc/self/fd").count) ?? -1 }

/// A worker sends the main process a channel to answer by.
func mainReceivesHandlesScenario(_ arguments: [String]) throws {
    let inbox = try Channel<Parcel>(name: "inbox")
    let progress = try SharedStore(name: "progress")
    try inbox.onError {
        say("main refuses \($0)")
        _ = try? progress.increment("done")
    }
    try inbox.onReceive { parcel in
        say("main got \(parcel.text)")
        try await parcel.channel?.send("an answer from main")
        try progress.increment("done")
    }
    var runtime = ForkRuntime(workers: .count(1))
    let before = descriptorCount()
    runtime.hooks.onExit = { _ in say("main kept \(descriptorCount() > before + 60 ? "descriptors" : "none")") }
    let summary = try runtime.run { worker in
        for round in 1...50 {
            let channel = try Channel<String>(name: "answers \(round)")
            try await inbox.send(Parcel(text: "round \(round)", channel: channel))
            if round < 50 { continue }
            try await eventually { if try progress.get("done", as: Int.self) != 50 { throw CancellationError() } }
            say("worker hears \(await code { say(try await channel.receive(timeout: .seconds(5))) })")
        }
    }
    say("outcome \(summary.outcome)")
}
