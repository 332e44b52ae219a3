// The environment, read into settings.

import PreforkSystem

/// Names every variable, or every setting of the program, whose value makes no sense. All of them are reported at once,
/// so that an operator can repair them in one go.
public struct EnvironmentSettingsError: Error, Equatable, Sendable {
    /// One variable, or one setting of the program, that cannot be used.
    public struct Problem: Equatable, Sendable {
        /// The variable, `PREFORK_BOOT_TIMEOUT`, or what the program has set, `RuntimeSettings.bootTimeout`.
        public var name: String
        /// The value as it was written.
        public var value: String
        /// What it takes.
        public var expected: String

        package init(name: String, value: String, expected: String) {
            self.name = name
            self.value = value
            self.expected = expected
        }
    }

    /// Every problem that was found. Never empty.
    public let problems: [Problem]

    package init(problems: [Problem]) {
        self.problems = problems
    }
}

extension EnvironmentSettingsError: CustomStringConvertible {
    public var description: String {
        problems.map { "\($0.name)=\(Escaping.brief($0.value)): must be \($0.expected)" }.joined(separator: "\n")
    }
}

extension RuntimeSettings {
    /// Settings after the environment had its say: `self` with what the variables change. An empty variable is unset.
    ///
    /// - Parameter environment: all variables. Variables with other names are ignored.
    /// - Throws: `EnvironmentSettingsError`, which names every variable whose value makes no sense. If all variables
    ///   are valid, it names every setting of `self` that its variable would not accept. The number of workers is
    ///   checked later: see `SupervisorError.Code.badWorkerCount`.
    public func applying(_ environment: [String: String]) throws(EnvironmentSettingsError) -> RuntimeSettings {
        var settings = self
        var problems: [EnvironmentSettingsError.Problem] = []
        for option in EnvironmentSettings.options {
            guard let value = environment[option.name], !value.isEmpty, !option.set(value, &settings) else { continue }
            problems.append(.init(name: option.name, value: value, expected: option.shape))
        }
        if problems.isEmpty { problems = settings.nonsense + settings.contradictions }
        guard problems.isEmpty else { throw EnvironmentSettingsError(problems: problems) }
        return settings
    }

    /// As `applying`, with this process's environment.
    public func applyingEnvironment() throws(EnvironmentSettingsError) -> RuntimeSettings {
        try applying(ProcessEnvironment.all)
    }

    /// Values that no variable could set.
    private var nonsense: [EnvironmentSettingsError.Problem] {
        EnvironmentSettings.options.filter { $0.name != "PREFORK_WORKERS" }.compactMap { $0.problem(self) }
            + restarts.backoff.problems(of: "RuntimeSettings.restarts.backoff")
    }

    /// Values that make sense one by one and not together.
    private var contradictions: [EnvironmentSettingsError.Problem] {
        switch (scaling.minimum, scaling.maximum) {
        case (let minimum?, let maximum?) where minimum > maximum:
            [
                .init(
                    name: "PREFORK_MIN_WORKERS", value: "\(minimum)",
                    expected: "at most PREFORK_MAX_WORKERS, \(maximum)")
            ]
        case (let minimum?, nil):
            [.init(name: "PREFORK_MIN_WORKERS", value: "\(minimum)", expected: "set together with PREFORK_MAX_WORKERS")]
        case (nil, let maximum?):
            [.init(name: "PREFORK_MAX_WORKERS", value: "\(maximum)", expected: "set together with PREFORK_MIN_WORKERS")]
        default: []
        }
    }
}

extension EnvironmentSettings {
    /// Variables that begin with `PREFORK_` and are none of the options: perhaps misspelt. They are logged and not
    /// refused, because a program may have its own.
    package static func unknownNames(in environment: [String: String]) -> [String] {
        // What an image that is replaced leaves to its successor is no setting.
        let known = Set(options.map(\.name) + [Handover.variable])
        return environment.keys.filter { $0.hasPrefix("PREFORK_") && !known.contains($0) }.sorted()
    }

    /// The variable that an unknown one probably stands for: the nearest, one or two edits away, if no other one is as
    /// near.
    static func nameMeant(by unknown: String) -> String? {
        let near = options.map { (name: $0.name, edits: edits(from: unknown, to: $0.name)) }
        guard let fewest = near.map(\.edits).min(), (1...2).contains(fewest) else { return nil }
        let nearest = near.filter { $0.edits == fewest }
        return nearest.count == 1 ? nearest[0].name : nil
    }

    /// How many bytes must be added, removed or replaced (Levenshtein's distance). 3 stands for 3 and more.
    private static func edits(from first: String, to second: String) -> Int {
        let (first, second) = (Array(first.utf8), Array(second.utf8))
        guard abs(first.count - second.count) < 3 else { return 3 }
        var row = Array(0...second.count)
        for (i, byte) in first.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in second.enumerated() {
                let replaced = diagonal + (byte == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return min(row[second.count], 3)
    }
}
