// The command line.

import Prefork

/// What benchmark-server was asked to do.
struct Arguments: Equatable {
    enum Command: Equatable {
        case serve(Arguments)
        case printConfig(Arguments)
        case help
    }

    var endpoint: Endpoint { unixPath.map { .unix($0) } ?? .tcp(host, port) }
    var host = "127.0.0.1"
    var port: UInt16 = 8080
    var unixPath: String?
    var workers: Int?
    /// Restarts of ready workers, and in a row of such that were not ready yet.
    var maxRestarts: Int?
    /// The longest delay before a restart. Zero: every restart is immediate.
    var backoffMaximum: Duration?
    var reusePort = false
    /// Memory that the supervisor has written to before it forks, in MiB.
    var ballast = 0
    var executor = ForkRuntime.Executor.wholeProcess

    static let usage = """
        usage: benchmark-server [--host HOST] [--port PORT] [--unix PATH] [--workers N] [--max-restarts N]
                            [--backoff-max MS] [--reuse-port] [--ballast MIB] [--body-only] [--print-config]

        Answers HTTP from N forked workers: / says Hello World, /pid the worker's process ID, /task its task ID,
        /slow?ms=N answers late, /exit?code=N ends the worker.

          --host HOST        address or name to listen on (127.0.0.1). Empty or :: for every address
          --port PORT        TCP port, 0 for a free one (8080)
          --unix PATH        listen on a Unix socket instead
          --workers N        how many workers (one per core, or PREFORK_WORKERS)
          --max-restarts N   give up after N restarts (100, not counting crashes in a request), or after N in a
                             row before a worker is ready (10)
          --backoff-max MS   longest delay before a restart (30000). 0: always restart at once
          --reuse-port       an accept queue for each worker (SO_REUSEPORT) instead of a shared one
          --ballast MIB      memory that the supervisor fills before it forks, in pages of 4 KiB (0)
          --body-only        run all tasks but the worker's body on Swift's own thread pool
          --print-config     print every effective setting as PREFORK_NAME=value, with its meaning
          --help             this text

        """

    /// - Throws: `UsageError` with one line that says what is wrong.
    static func parse(_ words: [String]) throws(UsageError) -> Command {
        var arguments = Arguments()
        var rest = words[...]
        var isPrinting = false
        while let option = rest.popFirst() {
            switch option {
            case "--help", "-h": return .help
            case "--host": arguments.host = try value(of: option, &rest)
            case "--port": arguments.port = UInt16(try number(of: option, &rest, in: 0...65535))
            case "--unix": arguments.unixPath = try value(of: option, &rest)
            case "--workers": arguments.workers = try number(of: option, &rest, in: 1...WorkerCount.maximum)
            case "--max-restarts": arguments.maxRestarts = try number(of: option, &rest, in: 0...Int(Int32.max))
            case "--backoff-max":
                arguments.backoffMaximum = .milliseconds(try number(of: option, &rest, in: 0...Int(Int32.max)))
            case "--reuse-port": arguments.reusePort = true
            case "--ballast": arguments.ballast = try number(of: option, &rest, in: 0...1 << 20)
            case "--body-only": arguments.executor = .bodyOnly
            case "--print-config": isPrinting = true
            default: throw UsageError(text: "unknown argument \(option) (see --help)")
            }
        }
        return isPrinting ? .printConfig(arguments) : .serve(arguments)
    }

    private static func value(of option: String, _ rest: inout ArraySlice<String>) throws(UsageError) -> String {
        guard let value = rest.popFirst() else { throw UsageError(text: "\(option) needs a value") }
        return value
    }

    private static func number(
        of option: String, _ rest: inout ArraySlice<String>, in range: ClosedRange<Int>
    ) throws(UsageError) -> Int {
        let text = try value(of: option, &rest)
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(text: "\(option) \(text): not a number within \(range.lowerBound)...\(range.upperBound)")
        }
        return number
    }
}

/// Bad arguments: exit code 64 (EX_USAGE).
struct UsageError: Error, Equatable {
    let text: String
}
