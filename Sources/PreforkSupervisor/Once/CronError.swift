// Why a text is no cron schedule.

import PreforkSystem

/// The cron schedule of a once-task makes no sense.
public struct CronError: Error, Hashable, Sendable {
    /// The whole text.
    public let text: String
    /// Where the first wrong part begins: 1 for the first byte of the text.
    public let position: Int
    /// What is wrong there, and what is expected.
    public let reason: String

    init(_ text: String, at position: Int, _ reason: String) {
        self.text = text
        self.position = position
        self.reason = reason
    }
}

extension CronError: CustomStringConvertible {
    public var description: String { "\"\(Escaping.brief(text))\", character \(position): \(reason)" }
}
