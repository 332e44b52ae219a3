// What the service can have in use while it is deployed.

import PreforkSystem

/// A part of the package, with one sender and its receivers.
enum Part: String, CaseIterable, Sendable {
    case active, passive, call, queue, unacknowledged, subscription, watch, managed, tree, subprocess
    /// Messages that travel beside a channel's ring, in files, every fourth with a descriptor. Not part of `all`.
    case large

    static let together = allCases.filter { $0 != .large }
}

/// How the service is run.
struct Plan: Sendable {
    var parts: [Part]
    /// Where the steps are noted: one file. If there are several parts, each has its own file, with its name behind a
    /// dot.
    var ledger: String
    /// While this file is there, nothing is sent.
    var pause: String
    /// While this file is there, a message in hand is not finished.
    var hold: String
    /// Between two numbers.
    var rest: Duration
    var isBusy: Bool
    /// The worker that has the channels' other ends, the subscription and the watch.
    var taskID: Int

    func path(of part: Part) -> String { parts.count == 1 ? ledger : "\(ledger).\(part)" }
}
