// The configuration of a supervisor.

import PreforkSystem

/// The settings in force, and what only code can say.
package struct SupervisorConfiguration: Sendable {
    package var settings: RuntimeSettings
    /// How many workers there are at first.
    package let workers: Int
    package var hooks = SupervisorHooks()
    /// Takes the log's lines. If nil, they go to the log file, or to standard error.
    package var log: (@Sendable (LogLine) -> Void)?

    /// - Throws: `.badWorkerCount`.
    package init(_ settings: RuntimeSettings) throws(SupervisorError) {
        self.settings = settings
        let count = try settings.workers.resolve()
        workers = settings.scaling.workers.map { min(max(count, $0.lowerBound), $0.upperBound) } ?? count
    }

    /// - Parameter samplesMemory: no control group limits the workers' memory, so that samples must.
    func poolSettings(samplesMemory: Bool) -> Pool.Settings {
        var settings = poolSettings
        if samplesMemory, let limit = self.settings.workerMemory {
            settings.recycling.memory = min(settings.recycling.memory ?? limit, limit)
        }
        return settings
    }

    var poolSettings: Pool.Settings {
        Pool.Settings(
            restarts: settings.restarts, crashes: settings.crashes, bootTimeout: settings.bootTimeout,
            stopDelay: settings.stopDelay, drainTimeout: settings.drainTimeout,
            quickTimeout: settings.quickTimeout, reload: settings.reload, recycling: settings.recycling,
            hangs: settings.hangs, slowRequest: settings.slowRequest, scaling: settings.scaling,
            spares: settings.spares.resolve(preparesForks: hooks.beforeFork != nil))
    }
}
