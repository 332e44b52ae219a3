// The command line.

import Prefork

/// What run-command was asked to do.
enum Arguments: Equatable {
    case run(Command)
    case help

    static let usage = """
        usage: run-command [--timeout SECONDS] [--grace SECONDS] [--cwd DIRECTORY] [--env NAME=VALUE] [--unset NAME]
                           [--] COMMAND [ARGUMENT ...]

        Runs a command, prints its lines as they come, each with the name of its stream, and at the end one line with
        its status, time, processor time and peak memory on standard error.

          --timeout SECONDS  stop the command after this time
          --grace SECONDS    time between SIGTERM and SIGKILL when it is stopped (5)
          --cwd DIRECTORY    the command's working directory
          --env NAME=VALUE   set a variable for the command
          --unset NAME       remove a variable for the command
          --help             this text

        Ctrl-C and SIGTERM stop the command and what it has started. The exit code is the command's, 128 + n when
        signal n ended it, 124 when the time was over, 126 or 127 when it could not be started.

        """

    /// - Throws: `UsageError` with one line that says what is wrong.
    static func parse(_ words: [String]) throws(UsageError) -> Arguments {
        var command = Command("", stdout: .stream, stderr: .stream)
        command.stdin = .inherit
        var rest = words[...]
        while let option = rest.first, option.hasPrefix("-") {
            rest.removeFirst()
            switch option {
            case "--help", "-h": return .help
            case "--timeout": command.timeout = try seconds(of: option, &rest)
            case "--grace": command.stopPlan = .terminate(grace: try seconds(of: option, &rest))
            case "--cwd": command.workingDirectory = RawText(try value(of: option, &rest))
            case "--unset": command.environment[RawText(try value(of: option, &rest))] = nil
            case "--env":
                let pair = try value(of: option, &rest).split(
                    separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard pair.count == 2, !pair[0].isEmpty else { throw UsageError(text: "--env needs NAME=VALUE") }
                command.environment[RawText(pair[0])] = RawText(pair[1])
            case "--": return try named(command, rest)
            default: throw UsageError(text: "unknown argument \(option) (see --help)")
            }
        }
        return try named(command, rest)
    }

    private static func named(_ command: Command, _ words: ArraySlice<String>) throws(UsageError) -> Arguments {
        guard let name = words.first else { throw UsageError(text: "no command (see --help)") }
        var command = command
        command.program = name.contains("/") ? .path(RawText(name)) : .name(RawText(name))
        command.arguments = words.dropFirst().map { RawText($0) }
        return .run(command)
    }

    private static func value(of option: String, _ rest: inout ArraySlice<String>) throws(UsageError) -> String {
        guard let value = rest.popFirst() else { throw UsageError(text: "\(option) needs a value") }
        return value
    }

    private static func seconds(of option: String, _ rest: inout ArraySlice<String>) throws(UsageError) -> Duration {
        let text = try value(of: option, &rest)
        guard let number = Double(text), number >= 0, number <= 1e9 else {
            throw UsageError(text: "\(option) \(text): not a number of seconds")
        }
        return .milliseconds(Int64(number * 1000))
    }
}

/// Bad arguments: exit code 64 (EX_USAGE).
struct UsageError: Error, Equatable {
    let text: String
}
