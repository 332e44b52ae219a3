// A worker's report of the requests that its end cuts off.

import PreforkSystem

extension WorkerHandle {
    /// Logs what this worker has in hand at the moment when it stops waiting for it. The exit code does not show it: a
    /// worker that was asked to end and ends has code 0.
    ///
    /// The worker logs it and not the supervisor, because the cancellation that follows ends the marks.
    ///
    /// - Parameter isQuick: an operator asked for an end without the requests. Otherwise their time is over.
    package func logRequestsInHand(isQuick: Bool) {
        guard let requestMemory else { return }
        let now = MonotonicInstant.now
        let hand = RequestsInHand(RequestRingReading(requestMemory, at: now, atMost: RequestReport.most), at: now)
        guard hand.count > 0 else { return }
        let count = hand.count == 1 ? "1 request" : "\(hand.count) requests"
        let why = isQuick ? "the quick stop" : "the drain timeout"
        StandardErrorLines.say(
            isQuick ? "info" : "warning", "\(why) cuts off \(count): \(hand.sentence)", by: "requests cut off")
    }
}
