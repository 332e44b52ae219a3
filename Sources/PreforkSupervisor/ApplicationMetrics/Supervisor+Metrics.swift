// The program's metrics in a pool's supervisor.

import PreforkSystem

extension Supervisor {
    /// Before the first fork, or with what the previous image has left.
    func beginMetrics() {
        guard let hub = MetricsHub.current else {
            let text = "no memory for metrics: what workers count is added up nowhere"
            return logger.say(LogLine(.warning, text), by: .own(.start))
        }
        // A later image has the files of the first, which are stored already.
        if !Handover.isLaterImage { host.store(hub.descriptorsToStore) }
        hub.tell = { [logger] in logger.say($0, by: .pool(.metrics)) }
    }

    package func writeMetrics(_ format: MetricFormat, to text: inout [UInt8]) {
        MetricsHub.current?.writePage(format, to: &text)
    }

    package func willShow(_ counters: PoolCounters, requests: UInt64) { noteShown(counters, requests: requests) }

    package var metricsBegan: Double? { MetricsHub.current?.created }
}
