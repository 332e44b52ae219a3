// What the server keeps in memory, and what a next version of it makes of that.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// A store, and, where they are asked for, a queue and a channel.
///
/// Switches make this another version of the program: `one-more` makes another store without a name first, `named`
/// makes one with a name first and gives the other its name, `other-store`, `other-queue` and `other-notes` make theirs
/// with other sizes, `task` makes a task of the main actor.
struct Things: Sendable {
    let store: SharedStore
    let queue: WorkQueue<Int>?
    let notes: Channel<String>?
    private let prices: SharedStore?

    init(_ settings: Settings, _ switches: Switches) throws {
        if switches.isOn("named") {
            prices = try SharedStore(name: "prices")
            store = try SharedStore(name: "sessions", was: 0)
        } else {
            prices = switches.isOn("one-more") ? try SharedStore() : nil
            let capacity = switches.isOn("other-store")
                ? StoreCapacity(entries: 100) : StoreCapacity(bytes: (settings.number("store") ?? 64) << 20)
            store = try SharedStore(capacity: capacity)
        }
        if switches.isOn("task") { Task { @MainActor in } }
        try prices?.set("count", 1_000)
        queue = try settings.number("jobs").map { attempts in
            let attempts = switches.isOn("other-queue") ? attempts + 1 : attempts
            return try WorkQueue(
                name: "jobs", WorkQueueOptions(redelivery: attempts == 0 ? .none : .unacknowledged(attempts: attempts)))
        }
        var options = ChannelOptions()
        if switches.isOn("other-notes") { options.ringBytes *= 4 }
        notes = settings["notes"] == nil ? nil : try Channel(name: "notes", options)
    }

    /// What a program does before it supervises: it changes what it keeps, and says what it finds.
    func useBeforeRun(_ settings: Settings) throws {
        if settings["raise"] != nil { say("raised \(try store.increment("raised"))") }
        if let notes {
            var found: [String] = []
            while let note = try notes.tryReceive() {
                found.append(note.utf8.count > 100 ? "\(note.utf8.count)" : note)
            }
            say("notes \(found)")
        }
        if Handover.isTrial, let queue { _ = try queue.trySend(-1) }
    }

    /// Ends the process as a crash inside a call of the store does: with every lock of its stripes.
    func crashInside() throws {
        // From its first lock on the process has a word.
        _ = try store.increment("crashes")
        for stripe in 0..<store.table.layout.stripes {
            require(store.table.sharedLock(stripe).tryLock(), "the lock of stripe \(stripe) is another's")
        }
        CrashKind.memory.crash(1)
    }

    /// Works until the process ends: a job that is in hand then belongs to nobody until another process takes it.
    func work() async throws {
        try await queue?.onReceive { job in
            try await EventLoop.sleep(for: .milliseconds(100))
            try store.increment("job \(job)")
        }
    }

    /// How many different jobs were done, and what is in the queue.
    func jobs() throws -> String {
        let done = try (0..<1_000).count { try store.contains("job \($0)") }
        let strange = try store.contains("job -1") ? ", and one of a trial" : ""
        return "\(done) done, \(queue?.count ?? -1) ready, \(queue?.inFlight ?? -1) in flight\(strange)"
    }
}

/// Tries this very program out as an image of the format before would.
func earlierScenario(_ arguments: [String]) throws {
    if Handover.isTrial { return try serveScenario(arguments) }
    let own = HandoverItem(kind: "supervisor", key: "", descriptors: [], text: "v3 1 2 0 1 2 0 0")
    let trial = try ProgramImage.tryOut(.path(ProgramImage.path()), in: "", leaving: [own], parent: getpid())
    say("trial ended with \(waitForEnd(trial))")
}
