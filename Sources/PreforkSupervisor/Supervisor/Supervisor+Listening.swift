// The line that says where the pool listens.

import PreforkSystem

/// Whether that line was said.
enum ListeningLine {
    /// Not all workers are ready yet.
    case awaitsWorkers
    /// All are, and some listener is served by none of them so far. The line waits no longer than until then.
    case due(MonotonicInstant)
    case told
}

extension Supervisor {
    /// How long the line waits for workers that were ready before they served: one is ready when it first waits for
    /// anything, or as soon as it serves the first of several listeners.
    private static let listeningPause = Duration.milliseconds(100)

    /// After an upgrade the workers of the new image are what counts: they replace those of the image before.
    func noteListening(_ report: PoolReport) {
        switch report {
        case .allReady where pool.reload == nil, .reloadOnProbation, .reloadFinished: break
        case .reloadAborted where !isGoingBack: break
        default: return
        }
        guard case .awaitsWorkers = listeningLine else { return }
        listeningLine = .due(.now + Self.listeningPause)
        tellListeners()
    }

    var listeningDeadline: MonotonicInstant? {
        if case .due(let deadline) = listeningLine { deadline } else { nil }
    }

    /// Says it if it is to be said, and everything about it is known, or the time is over.
    func tellListeners() {
        guard case .due(let deadline) = listeningLine else { return }
        let listeners = serviceListeners
        let served = servedListeners
        guard listeners.allSatisfy(served.contains) || deadline <= .now else { return }
        listeningLine = .told
        guard !listeners.isEmpty else { return }
        let places = listeners.map { served.hasHTTP(at: $0) ? "http://\($0.address)" : "\($0.address)" }
        logger.say(LogLine(.info, "listening on \(places.joined(separator: ", "))"), by: .own(.life))
    }

    /// By what workers say, who may say anything: it decides nothing but the words of a line.
    private var servedListeners: ServedListeners {
        let own = workers.entries.values.filter { !$0.isInherited }
        // One that came back after a failed upgrade has the workers that it had.
        return (own.isEmpty ? Array(workers.entries.values) : own).reduce(into: ServedListeners()) {
            $0.formUnion(scoreboard.servedListeners(line: $1.line))
        }
    }
}
