// Every public parameter of PreforkSubprocess with values that make no sense.

import Glibc
import PreforkSubprocess
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkSubprocess",
            reasons: ["Subprocess.Exit": "how a command ended, which compares with any number"])
    }

    /// Runs `/bin/true`, changed. It must succeed.
    @discardableResult
    private static func run(_ change: (inout Command) throws -> Void) async throws -> Subprocess.Output {
        var command = Command("/bin/true")
        try change(&command)
        return try await Subprocess.run(command).check()
    }

    private static let table: [ParameterRow] = programs + doors + streams + rights + limits + times

    private typealias Door = @Sendable (
        _ program: String, _ argument: String, _ cwd: String?, _ env: [String: String]?
    ) async throws -> Void

    /// The ways from texts to a program.
    private static let opened: [(door: String, open: Door)] = [
        ("Command.init", { _ = try await Subprocess.run(Command($0, $1, cwd: $2, env: $3)).check() }),
        ("Command.init", { _ = try await Subprocess.run(Command($0, arguments: [$1], cwd: $2, env: $3)).check() }),
        ("Subprocess.init", { try await Subprocess([$0, $1], cwd: $2, env: $3).waitForExit() }),
        ("Subprocess.spawn", { try await Subprocess.spawn($0, $1, cwd: $2, env: $3).waitForExit() }),
        ("Subprocess.run", { try await Subprocess.run($0, $1, cwd: $2, env: $3).check() }),
    ]

    private static let doors: [ParameterRow] = opened.flatMap { rows($0.door, $0.open) }

    private static func rows(_ door: String, _ open: @escaping Door) -> [ParameterRow] {
        Parameter.text(
            door == "Subprocess.init" ? "\(door).arguments" : "\(door).program", empty: .refused("no name"),
            huge: .refused("too long"), nul: .refused("NUL byte", "a\\u{0}b"),
            controls: .refused("a\\u{1B}[2J\\u{A}b", "No such file"), dots: .refused("../x", "No such file"),
            foreign: .refused("größe", "No such file")
        ) { try await open($0, "", nil, nil) }
            + Parameter.text(
                "\(door).arguments", empty: .means("an empty argument"), huge: .refused("Argument list too long"),
                nul: .refused("NUL byte in argument 1"), controls: .means("an argument"), dots: .means("an argument"),
                foreign: .means("an argument")
            ) { try await open("/bin/true", $0, nil, nil) }
            + Parameter.text(
                "\(door).cwd", empty: .refused("workingDirectory", "No such file"), huge: .refused("too long"),
                nul: .refused("NUL byte"), controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("../x"),
                foreign: .refused("größe")
            ) { try await open("/bin/true", "", $0, nil) }
            + Parameter.text(
                "\(door).env", empty: .refused("environment variable"), huge: .refused("Argument list too long"),
                nul: .refused("environment variable a\\u{0}b"), controls: .means("a name that few programs read"),
                dots: .means("a name that few programs read"), foreign: .means("a name that few programs read")
            ) { try await open("/bin/true", "", nil, [$0: "value"]) }
    }

    private static let programs: [ParameterRow] =
        Parameter.text(
            "Command.init.program", empty: .refused("no name"), huge: .refused("too long"),
            nul: .refused("NUL byte", "a\\u{0}b"),
            controls: .refused("a\\u{1B}[2J\\u{A}b", "No such file"), dots: .refused("../x", "No such file"),
            foreign: .refused("größe", "No such file")
        ) { _ = try await Subprocess.run(Command($0)) }
        + Parameter.text(
            "Command.Program.name.0", empty: .refused("no name"), huge: .refused("too long"), nul: .refused("NUL byte"),
            controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("'../x' is a path"),
            foreign: .refused("No such file")
        ) { name in try await run { $0.program = .name(RawText(name)) } }
        + Parameter.text(
            "Command.Program.path.0", empty: .refused("No such file"), huge: .refused("too long"),
            nul: .refused("NUL byte"),
            controls: .refused("a\\u{1B}[2J\\u{A}b", "No such file"), dots: .refused("../x"),
            foreign: .refused("No such file")
        ) { path in try await run { $0.program = .path(RawText(path)) } }
        + Parameter.text(
            "Command.init.arguments", empty: .means("an empty argument"), huge: .refused("Argument list too long"),
            nul: .refused("NUL byte in argument 1"), controls: .means("an argument"), dots: .means("an argument"),
            foreign: .means("an argument")
        ) { argument in try await run { $0.arguments = [RawText(argument)] } }
        + Parameter.list(
            "Command.init.arguments", of: RawText("x"), empty: .means("none"), huge: .refused("Argument list too long")
        ) { arguments in try await run { $0.arguments = arguments } }
        + Parameter.list(
            "Subprocess.init.arguments", of: "x", empty: .refused("no name"), huge: .refused("Argument list too long")
        ) { try await Subprocess($0.isEmpty ? [] : ["/bin/true"] + $0).waitForExit() }
        + Parameter.text(
            "Command.argument0", empty: .means("an empty name"), huge: .refused("Argument list too long"),
            nul: .refused("NUL byte in argument 0"), controls: .means("a name"), dots: .means("a name"),
            foreign: .means("a name")
        ) { name in try await run { $0.argument0 = RawText(name) } }
        + Parameter.value("Command.argument0", "nil", .means("what it was called")) {
            try await run { $0.argument0 = nil }
        }
        + Parameter.text(
            "Command.workingDirectory", empty: .refused("workingDirectory", "No such file"), huge: .refused("too long"),
            nul: .refused("NUL byte"), controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("../x"),
            foreign: .refused("größe")
        ) { path in try await run { $0.workingDirectory = RawText(path) } }
        + environments + rawTexts

    private static let environmentMakers: [(String, @Sendable (String) -> Command.Environment)] = [
        ("Command.Environment.only.variables", { Command.Environment.only([RawText($0): "value"]) }),
        ("Command.Environment.inherit.changing", { Command.Environment.inherit(changing: [RawText($0): "value"]) }),
    ]

    private static let environments: [ParameterRow] = environmentMakers.flatMap { parameter, make in
        Parameter.text(
            parameter, empty: .refused("environment variable"), huge: .refused("Argument list too long"),
            nul: .refused("environment variable a\\u{0}b"), controls: .means("a name that few programs read"),
            dots: .means("a name that few programs read"), foreign: .means("a name that few programs read")
        ) { name in try await run { $0.environment = make(name) } }
            + Parameter.value(parameter, "a=b", .refused("environment variable a=b")) {
                try await run { $0.environment = make("a=b") }
            }
    }

    private static let rawTexts: [ParameterRow] =
        ["init.text", "init.stringLiteral"].flatMap { name in
            Parameter.text("RawText.\(name)", empty: .means("no bytes"), huge: .means("bytes"), other: .means("bytes"))
            {
                #expect(RawText($0) == RawText(stringLiteral: $0) && RawText($0).bytes == Array($0.utf8))
            }
        }
        + Parameter.list("RawText.init.bytes", of: UInt8(0), empty: .means("no bytes"), huge: .means("bytes")) {
            #expect(RawText(bytes: $0).bytes == $0)
        }

    // Streams

    private static let files: [(parameter: String, change: @Sendable (inout Command, RawText) -> Void)] = [
        ("Command.Input.file.0", { $0.stdin = .file($1) }), ("Command.Output.file.0", { $0.stdout = .file($1) }),
        ("Command.Output.file.0", { $0.stdout = .tee([.file($1)]) }),
    ]

    private static let sources: [(parameter: String, change: @Sendable (inout Command, Int32) -> Void)] = [
        ("Command.Input.descriptor.0", { $0.stdin = .descriptor($1) }),
        ("Command.Output.descriptor.0", { $0.stdout = .descriptor($1) }),
        ("Command.descriptors", { $0.descriptors = [7: $1] }),
    ]

    private static let streams: [ParameterRow] =
        files.flatMap { parameter, change in
            Parameter.text(
                parameter, empty: .refused("open", "No such file"), huge: .refused("open", "too long"),
                nul: .refused("NUL byte"),
                controls: .refused("a\\u{1B}[2J\\u{A}b", "No such file"), dots: .refused("x/../x", "No such file"),
                foreign: .refused("größe", "No such file")
            ) { path in
                // Nothing is made where the tests run.
                try await run {
                    change(&$0, RawText(path.isEmpty || path.utf8.count > 1000 ? path : "/nowhere/x/\(path)"))
                }
            }
        }
        + sources.flatMap { parameter, change in
            Parameter.number(
                parameter, zero: .means("standard input"), negative: .refused("descriptor -"),
                huge: .refused("Bad file descriptor")
            ) { (number: Int32) in
                // The tests' own may be closed.
                let file = open("/dev/null", O_RDWR)
                defer { close(file) }
                try await run { change(&$0, number == 0 ? file : number) }
            }
        }
        + Parameter.number(
            "Command.descriptors", zero: .means("standard input by another name"), negative: .refused("descriptor -"),
            huge: .refused("descriptor \(Int32.max)")
        ) { (number: Int32) in
            let file = open("/dev/null", O_RDWR)
            defer { close(file) }
            try await run { $0.descriptors = [number: file] }
        }
        + Parameter.text(
            "Command.Input.text.text", empty: .means("the end at once"), huge: .means("as much as the program reads"),
            other: .means("the bytes as they are")
        ) { text in try await run { $0.stdin = .text(text) } }
        + Parameter.list(
            "Command.Input.bytes.0", of: UInt8(0), empty: .means("the end at once"),
            huge: .means("as much as the program reads")
        ) { bytes in try await run { $0.stdin = .bytes(bytes) } }
        + [false, true].flatMap { isTee in
            Parameter.number(
                "Command.Output.collect.limit", zero: .means("nothing is kept"),
                negative: .refused("limit of -", "bytes"),
                huge: .means("no limit")
            ) { (limit: Int) in
                let output = try await run {
                    $0 = Command("echo", "text")
                    let collect = Command.Output.collect(limit: limit, overflow: .discard)
                    $0.stdout = isTee ? .tee([collect]) : collect
                }
                #expect(output.stdoutText == (limit == 0 ? "" : "text\n") && output.isStdoutTruncated == (limit == 0))
            }
        }
        + ["rows", "columns"].flatMap { side in
            Parameter.unsigned(
                "Command.TerminalSize.init.\(side)", zero: .means("a size that the terminal does not know"),
                huge: .means("a size")
            ) { (number: UInt16) in
                try await run {
                    $0.stdin = .null
                    $0.terminalSize = Command.TerminalSize(
                        rows: side == "rows" ? number : 24, columns: side == "rows" ? 80 : number)
                }
            }
        }

    // Rights

    private static let rights: [ParameterRow] =
        Parameter.number(
            "Command.Group.join.0", zero: .refused("process group 0"), negative: .refused("process group -"),
            huge: .refused("processGroup")
        ) { (group: Int32) in try await run { $0.group = .join(group) } }
        + ["user", "group", "supplementaryGroups"].flatMap { part in
            Parameter.unsigned(
                "Command.Identity.init.\(part)", zero: .means("root, where we are"),
                huge: .refused("user or group \(UInt32.max)")
            ) { (number: UInt32) in
                // Not root: the kernel says no, which is its right.
                if number == 0, getuid() != 0 { return }
                try await run {
                    $0.identity = Command.Identity(
                        user: part == "user" ? number : nil, group: part == "group" ? number : nil,
                        supplementaryGroups: part == "supplementaryGroups" ? [number] : nil)
                }
            }
        }
        + Parameter.list(
            "Command.Identity.init.supplementaryGroups", of: UInt32(1), empty: .means("none"),
            huge: .refused("supplementaryGroups")
        ) { groups in
            if groups.isEmpty, getuid() != 0 { return }
            try await run { $0.identity = Command.Identity(user: nil, supplementaryGroups: groups) }
        }
        + Parameter.number(
            "Command.niceness", zero: .means("as it is"), negative: .means("more favourable, where that is allowed"),
            huge: .refused("niceness \(Int32.max)")
        ) { (niceness: Int32) in
            if niceness == .min {
                await #expect(throws: SpawnError.self) { try await run { $0.niceness = niceness } }
            } else if niceness != -1 || getuid() == 0 {
                try await run { $0.niceness = niceness }
            }
        }
        + Parameter.unsigned("Command.umask", zero: .means("no bit is taken"), huge: .refused("umask 0o37777777777")) {
            (mask: UInt32) in try await run { $0.umask = mask }
        }
        + Parameter.text(
            "Command.ControlGroup.init.path", empty: .refused("controlGroup"),
            huge: .refused("controlGroup", "too long"),
            nul: .refused("NUL byte"), controls: .refused("controlGroup", "a\\u{1B}[2J\\u{A}b"),
            dots: .refused("controlGroup", "../x"),
            foreign: .refused("controlGroup", "größe")
        ) { path in try await run { $0.controlGroup = Command.ControlGroup(RawText(path)) } }

    // Limits

    private static let bounds: [(parameter: String, make: @Sendable (UInt64) -> Command.Limit)] = [
        ("Command.Limit.openFiles.count", { .openFiles($0) }), ("Command.Limit.processes.count", { .processes($0) }),
        ("Command.Limit.addressSpace.bytes", { .addressSpace($0) }), ("Command.Limit.data.bytes", { .data($0) }),
        ("Command.Limit.stack.bytes", { .stack($0) }), ("Command.Limit.fileSize.bytes", { .fileSize($0) }),
        ("Command.Limit.core.bytes", { .core($0) }), ("Command.Limit.lockedMemory.bytes", { .lockedMemory($0) }),
        ("Command.Limit.processorTime.seconds", { .processorTime(seconds: $0) }),
        ("Command.Limit.init.soft", { Command.Limit(resource: Int32(RLIMIT_CORE.rawValue), soft: $0, hard: $0) }),
        ("Command.Limit.init.hard", { Command.Limit(resource: Int32(RLIMIT_CORE.rawValue), soft: 0, hard: $0) }),
    ]

    private static let limits: [ParameterRow] =
        bounds.flatMap { parameter, make in
            Parameter.unsigned(
                parameter, zero: .means("none at all, as the kernel says"),
                huge: .means("no limit, where that is allowed")
            ) { (number: UInt64) in
                do {
                    // With no stack and no memory a program ends early, which is what was asked for.
                    var command = Command("/bin/true")
                    command.limits = [make(number)]
                    let output = try await Subprocess.run(command)
                    #expect(output.exit.isSuccess || number == 0)
                } catch let error as SpawnError {
                    // A higher limit than this process has, or a program that cannot be loaded: the kernel's word.
                    #expect([.resourceLimits, .exec].contains(error.step), "\(error)")
                }
            }
        }
        + Parameter.value("Command.Limit.init.soft", "more than hard", .refused("resourceLimits", "Invalid argument")) {
            try await run { $0.limits = [Command.Limit(resource: Int32(RLIMIT_CORE.rawValue), soft: 2, hard: 1)] }
        }
        + Parameter.number(
            "Command.Limit.init.resource", zero: .means("processor time"), negative: .refused("limit of resource -"),
            huge: .refused("resourceLimits", "Invalid argument")
        ) { (resource: Int32) in
            try await run { $0.limits = [Command.Limit(resource: resource, soft: 1_000, hard: 1_000)] }
        }

    // Times

    /// A command that runs until it is stopped.
    private static var sleeper: Command { Command("sleep", "1000") }

    private static let times: [ParameterRow] =
        Parameter.duration(
            "Command.timeout", zero: .means("it is stopped as soon as it runs"),
            negative: .means("it is stopped as soon as it runs"),
            huge: .means("no timeout")
        ) { timeout in
            var command = timeout > .zero ? Command("/bin/true") : sleeper
            command.timeout = timeout
            let exit = try await Subprocess.run(command).exit
            #expect(exit.reason == (timeout > .zero ? .own : .timedOut))
        }
        + Parameter.duration(
            "StopPlan.Step.init.grace", zero: .means("the next step at once"),
            negative: .means("the next step at once"),
            huge: .means("until it ends")
        ) { grace in
            let process = try await Subprocess.spawn(sleeper)
            mustHold(try await process.stop(StopPlan([StopPlan.Step(.terminate, grace: grace)])).reason == .stopped)
        }
        + Parameter.duration(
            "StopPlan.terminate.grace", zero: .means("SIGKILL at once"), negative: .means("SIGKILL at once"),
            huge: .means("until it ends")
        ) { grace in
            let process = try await Subprocess.spawn(sleeper)
            mustHold(try await process.stop(.terminate(grace: grace)).reason == .stopped)
        }
        + Parameter.duration(
            "StopPlan.killGrace", zero: .means("one look after SIGKILL"), negative: .means("one look after SIGKILL"),
            huge: .means("until it is gone")
        ) { grace in
            let process = try await Subprocess.spawn(sleeper)
            var plan = StopPlan.kill
            plan.killGrace = grace
            // With no time at all it may be told that the kernel was not quick enough: a typed error.
            do { _ = try await process.stop(plan) } catch { #expect(grace <= .zero) }
            _ = try await process.waitForExit(raising: false)
        }
        + Parameter.duration(
            "Command.Lingering.afterExit.0", zero: .means("the streams end with the exit"),
            negative: .means("the streams end with the exit"), huge: .means("as long as somebody can write")
        ) { time in
            let output = try await run {
                $0 = Command("echo", "text")
                $0.lingering = .afterExit(time)
            }
            #expect(output.stdoutText == "text\n")
        }
        // A signal that does not exist is found before anything is started, not when it is needed.
        + [-1, 65, Int32.max].flatMap { number in
            Parameter.value("StopPlan.Step.init.grace", "signal \(number)", .refused("signal \(number)")) {
                try await run { $0.stopPlan = StopPlan([StopPlan.Step(Signal(rawValue: number), grace: .zero)]) }
            }
        }
}
