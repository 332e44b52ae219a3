// Options of a managed process.

public import PreforkChannels
public import PreforkSupervisor
import PreforkSystem

/// What a target needs beside its name and its body.
public struct TargetOptions: Sendable {
    /// Targets that must be ready, or have ended with exit code 0, before this one is started. They may be added later.
    public var dependencies: [String]
    /// What follows when it crashes. A restart policy has the same bounds as `RuntimeSettings.restarts`.
    public var onFailure: TargetFailureAction
    /// When the target counts as ready, which its dependents wait for.
    public var readiness: TargetReadiness
    /// How long it may take to become ready before it is killed, which counts as a crash. Above zero. If nil, there is
    /// no limit.
    public var startTimeout: Duration?
    /// The time from SIGTERM to SIGKILL. If nil, the manager's. With zero or less, it is killed at once.
    public var grace: Duration?
    /// How its two channels are made. Unless this says `.keep`, what was sent to a process of the target that died and
    /// was not taken by it is thrown away when the next one begins, shortly before that is ready. After a restart that
    /// was asked for, and an end in order, the next one receives it. What a process had sent when it ended is received
    /// in any case.
    public var channels: ChannelOptions
    /// Its rights. A process with `.workers` gives up what the pool's workers give up, in the same way.
    public var privileges: TargetPrivileges
    /// Which process comes first when the program is upgraded in place. Without a pool there are no upgrades. A restart
    /// that was asked for stops the process first in any case.
    public var succession: TargetSuccession

    /// Every parameter is the property of the same name. If `channels` is nil, messages that a dead process had not
    /// taken are dropped, as `ChannelOptions.Undelivered.drop` says.
    public init(
        dependencies: [String] = [], onFailure: TargetFailureAction = .ignore, readiness: TargetReadiness = .automatic,
        startTimeout: Duration? = nil, grace: Duration? = nil, channels: ChannelOptions? = nil,
        privileges: TargetPrivileges = .workers, succession: TargetSuccession = .stopFirst
    ) {
        self.dependencies = dependencies
        self.onFailure = onFailure
        self.readiness = readiness
        self.startTimeout = startTimeout
        self.grace = grace
        self.channels = channels ?? .newForEachGeneration
        self.privileges = privileges
        self.succession = succession
    }
}

extension TargetOptions {
    /// Refuses options that make no sense when the target is added. A later crash has no caller to report them to.
    ///
    /// - Throws: `.badSettings` with the target and each option.
    func check(_ name: String) throws(ProcessError) {
        var problems = onFailure.policy?.problems(of: "onFailure") ?? []
        if let startTimeout, startTimeout <= .zero {
            problems.append(.init(name: "startTimeout", value: "\(startTimeout)", expected: "above zero"))
        }
        if problems.isEmpty { return }
        throw ProcessError(
            .badSettings("target \"\(Escaping.brief(name))\": \(EnvironmentSettingsError(problems: problems))"))
    }
}

extension ChannelOptions {
    fileprivate static var newForEachGeneration: ChannelOptions {
        var options = ChannelOptions()
        options.undelivered = .drop
        return options
    }
}
