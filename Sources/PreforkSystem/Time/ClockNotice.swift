// A notice when the wall clock is set.

import CPrefork

/// Readable after the wall clock was set, and after the machine has slept: both move it against the monotonic clock.
///
/// timerfd_create(2) with CLOCK_REALTIME and TFD_TIMER_CANCEL_ON_SET. No other process has it.
package final class ClockNotice: Sendable {
    private let descriptor: Descriptor

    /// Not armed.
    ///
    /// - Throws: what timerfd_create(2) refuses.
    package init() throws(SystemError) {
        descriptor = Descriptor(owning: try systemCall("timerfd_create") { cprefork_clock_notice() })
    }

    package var number: Int32 { descriptor.number }

    /// Forgets what has come and waits for the next change.
    package func arm() { _ = cprefork_clock_notice_arm(descriptor.number) }
}
