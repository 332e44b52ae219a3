// What the environment has that nobody understands, in the log.

import PreforkSystem

extension Supervisor {
    /// Warns of variables `PREFORK_*` that are no settings: a misspelt one would do nothing, silently.
    package func warnOfUnknownVariables() {
        for name in EnvironmentSettings.unknownNames(in: ProcessEnvironment.all) {
            log(LogLine(.warning, "\(name) is no setting (see --print-config, or the manual's table)"))
        }
    }
}
