// The division of the time for a whole stop among its levels.

/// One budget of time, split over levels that are stopped one after another.
///
/// Half of it belongs to the levels in equal parts, the other half to the level that needs it first: a level may take
/// all that is left except the parts of those below. It is cancelled when that is used up, and left behind soon after.
package struct StopBudget: Sendable {
    package let timeout: Duration
    package let levels: Int

    package init(timeout: Duration, levels: Int) {
        self.timeout = timeout.bounded
        self.levels = max(levels, 1)
    }

    /// What each level is sure to get.
    private var part: Duration { timeout / (2 * levels) }

    /// When the stops of this level are cancelled, counted from the begin of the whole stop.
    package func cancellation(ofLevel level: Int) -> Duration {
        timeout - part * max(levels - 1 - level, 0)
    }

    /// When the stops of this level are not waited for any longer. The last one is at most a tenth late.
    ///
    /// Even without any time, a stop that ends by itself is not a failure: all levels together have ten milliseconds.
    package func abandonment(ofLevel level: Int) -> Duration {
        let patience = min(part / 2, timeout / 10)
        let turn = Duration.milliseconds(10) / levels * min(level + 1, levels)
        return max(cancellation(ofLevel: level) + (level >= levels - 1 ? timeout / 10 : patience), turn)
    }
}
