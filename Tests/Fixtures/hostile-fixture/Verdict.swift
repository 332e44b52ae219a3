// What came of a siege, in lines that a test and a storm read.

import PreforkFixtureSupport

/// The figures of all seeds so far.
struct Verdict {
    var seeds = 0
    var faultySeeds = 0
    var faults: [String: Int] = [:]
    var tally = Tally()
    var longestStatus = 0.0
    var statusCount = 0
    var longestWhole = 0.0
    var mostLogLines = 0
    var mostProcessorTime = 0
    var stoppedForGood = 0
    var refills = 0
    var siblingsReplaced = 0
    var damaged = 0
    var recovered = 0
    var operations: [String: Int] = [:]
    var pools = 0
    var left = 0
    var descriptorsMore = 0
    var memoryMore = 0

    /// The kind of a fault is its text up to a colon.
    mutating func add(_ found: [String]) {
        for fault in found { faults[String(fault.prefix { $0 != ":" }), default: 0] += 1 }
    }

    func report() {
        say("seeds \(seeds)")
        say("faulty seeds \(faultySeeds)")
        say("pools \(pools)")
        say("longest status ms \(oneDigit(longestStatus))")
        say("status asked \(statusCount)")
        say("longest until whole ms \(oneDigit(longestWhole))")
        say("most log lines in a second \(mostLogLines)")
        say("most processor time of the supervisor in an attack ms \(mostProcessorTime)")
        say("stopped processes that the judge ended \(stoppedForGood)")
        say("slots that ended with exit code 0 and were filled by an order \(refills)")
        say("siblings that ended in order \(siblingsReplaced)")
        say("answered \(tally.answered)")
        list("lost", tally.lost)
        list("error", tally.errors)
        for (name, value) in tally.longest.sorted(by: { $0.key < $1.key }) {
            say("longest \(name) ms: \(oneDigit(value))")
        }
        list("operation", operations)
        say("rounds with damages \(damaged)")
        say("rounds with recoveries \(recovered)")
        say("processes left \(left)")
        say("descriptors more \(descriptorsMore)")
        say("memory more KiB \(memoryMore)")
        list("fault", faults)
    }

    private func list(_ word: String, _ counts: [String: Int]) {
        for (name, count) in counts.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            say("\(word) \(name): \(count)")
        }
    }
}

func oneDigit(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
