// What a supervisor is to do.

import PreforkSystem

package struct SupervisorConfiguration: Sendable {
    package var workers: Int
    package var restarts = RestartPolicy()
    package var bootTimeout: Duration = .seconds(60)
    package var drainTimeout: Duration = .seconds(30)
    package var quickTimeout: Duration = .seconds(2)
    package var reload = ReloadPolicy()
    package var recycling = RecyclingPolicy()
    package var hangs: HangPolicy?
    package var scaling: ScalingPolicy?
    package var hooks = SupervisorHooks()
    /// Takes the log's lines; nil: standard error.
    package var log: (@Sendable (LogLine) -> Void)?

    package init(workers: Int) {
        self.workers = workers
    }

    var poolSettings: Pool.Settings {
        Pool.Settings(
            restarts: restarts, bootTimeout: bootTimeout, drainTimeout: drainTimeout, quickTimeout: quickTimeout,
            reload: reload, recycling: recycling, hangs: hangs, scaling: scaling)
    }
}
