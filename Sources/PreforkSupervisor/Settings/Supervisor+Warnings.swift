// Warnings in the log about variables and settings that make no sense, or are probably not intended.

import PreforkSystem

extension Supervisor {
    /// Warns of variables `PREFORK_*` that are no settings: a misspelt one would do nothing, silently. Then of what this
    /// process has inherited, and of its settings.
    ///
    /// - Parameter more: further warnings of the form that runs this supervisor.
    package func warnAtStart(_ more: String?...) {
        for name in EnvironmentSettings.unknownNames(in: ProcessEnvironment.all) {
            let hint = EnvironmentSettings.nameMeant(by: name).map { ": did you mean \($0)?" }
            let text = "\(name) is not a setting" + (hint ?? " (`preforkctl config` and the manual list all)")
            logger.say(LogLine(.warning, text), by: .own(.start))
        }
        if let text = InheritedDescriptors.warning {
            logger.say(LogLine(.warning, text), by: .own(.start))
        }
        if let text = descriptors.warning { logger.say(LogLine(.warning, text), by: .own(.start)) }
        for text in host.warnings { logger.say(LogLine(.warning, text), by: .own(.start)) }
        if let text = configuration.settings.privileges.warning(user: Credentials.users.effective) {
            logger.say(LogLine(.warning, text), by: .own(.start))
        }
        for case let text? in more { logger.say(LogLine(.warning, text), by: .own(.start)) }
    }
}

extension Privileges {
    /// Settings that leave more rights than the operator may expect.
    ///
    /// - Parameter user: the supervisor's effective user.
    func warning(user: UInt32) -> String? {
        let dropsSomething = group != nil || groups != .ofUser
        guard user == 0, self.user == nil, dropsSomething else { return nil }
        return "a group is set and no user: workers stay root, with all of its capabilities (see PREFORK_USER)"
    }
}
