// Tests of what only a loop that runs its whole process can give.

import PreforkEventLoop
public import Testing

extension Trait where Self == ConditionTrait {
    /// For a test of what workers have only where a loop can be the executor of its process. The manual's page
    /// "Without the process executor" lists these tests with their reasons.
    public static var needsProcessExecutor: Self {
        .enabled(if: ProcessExecutor.absence == nil, "needs the process executor (see WithoutProcessExecutor.md)")
    }
}
