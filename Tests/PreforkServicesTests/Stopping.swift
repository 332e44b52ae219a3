// A manual clock that is moved on as soon as a task waits for it.

import PreforkServices
import PreforkServicesTestKit

enum Stopping {
    /// Runs `body` by `clock`, which jumps to the next deadline whenever `isStuck` and a task sleeps.
    ///
    /// Only for trees in which nothing but time can go on then: a deadline that is not the last thing awaited could
    /// come too early otherwise.
    static func drive<Result: Sendable>(
        _ clock: ManualClock, when isStuck: @escaping @Sendable () -> Bool = { true },
        _ body: @escaping @Sendable () async -> Result
    ) async -> Result {
        let work = Task { await ServiceHost(clock: clock).with { await body() } }
        let driver = Task {
            while !Task.isCancelled {
                if isStuck(), let deadline = clock.nextDeadline { clock.advance(to: deadline) }
                try? await Task.sleep(for: .milliseconds(2))
            }
        }
        let result = await work.value
        driver.cancel()
        return result
    }
}
