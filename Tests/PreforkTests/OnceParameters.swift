// The parameters of once-tasks with values that make no sense, as far as no process need be forked for it.

import Prefork
import PreforkTestSupport
import Testing

extension ParameterTableTests {
    private struct Call: Sendable {
        var name = "task"
        var every: Duration? = .seconds(60)
        var cron = "@daily"
        var jitter = Duration.zero
        var timeout: Duration?
        var grace: Duration?

        func add(to manager: ProcessManager) throws {
            if let every {
                try manager.once(name, every: every, jitter: jitter, timeout: timeout, grace: grace) {}
            } else {
                try manager.once(name, cron: cron, jitter: jitter, timeout: timeout, grace: grace) { _ in }
            }
            mustHold(try manager.status(of: name).phase == .stopped)
        }

        func add(to runtime: ForkRuntime) throws {
            if let every {
                try runtime.once(name, every: every, jitter: jitter, timeout: timeout, grace: grace) {}
            } else {
                try runtime.once(name, cron: cron, jitter: jitter, timeout: timeout, grace: grace) { _ in }
            }
            mustHold(try runtime.manager.status(of: name).phase == .stopped)
        }
    }

    private static let owners: [(name: String, add: @Sendable (Call) throws -> Void)] = [
        ("ProcessManager.once", { try $0.add(to: ProcessManager()) }),
        ("ForkRuntime.once", { try $0.add(to: ForkRuntime()) }),
    ]

    static let once: [ParameterRow] = owners.flatMap { owner, add -> [ParameterRow] in
        Parameter.text(
            "\(owner).name", empty: .refused("cannot be a target's name"), huge: .means("a name"),
            other: .means("a name, which is escaped where it is shown")
        ) { name in try add(Call(name: name)) }
            + Parameter.text(
                "\(owner).cron", empty: .refused("five fields"), huge: .refused("1,000 bytes"), nul: .refused("character 1"),
                controls: .refused("character 1"), dots: .refused("character 1"), foreign: .refused("character 1")
            ) { text in try add(Call(every: nil, cron: text)) }
            + Parameter.duration(
                "\(owner).every", zero: .refused("task", "every", "from 10 ms"),
                negative: .refused("task", "every", "from 10 ms"), huge: .refused("task", "every", "366 days")
            ) { every in try add(Call(every: every)) }
            + Parameter.duration(
                "\(owner).jitter", zero: .means("none"), negative: .refused("task", "jitter", "zero or more"),
                huge: .refused("task", "jitter", "at most")
            ) { jitter in
                try add(Call(every: nil, jitter: jitter))
                try add(Call(jitter: jitter))
            }
            + Parameter.duration(
                "\(owner).timeout", zero: .refused("task", "timeout", "above zero"),
                negative: .refused("task", "timeout", "above zero"), huge: .refused("task", "timeout", "366 days")
            ) { timeout in try add(Call(timeout: timeout)) }
            + Parameter.duration(
                "\(owner).grace", zero: .means("killed at once"), negative: .means("killed at once"),
                huge: .means("for ever")
            ) { grace in try add(Call(grace: grace)) }
    }
}
