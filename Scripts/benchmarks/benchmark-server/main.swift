// A pre-forked HTTP server with switches, by hand on `serve`: the subject of benchmarks, storms and tests.

import Glibc
import Prefork

func fail(_ text: String, code: Int32) -> Never {
    let line = Array("benchmark-server: \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(code)
}

func runtime(_ arguments: Arguments) -> ForkRuntime {
    var runtime = ForkRuntime(workers: arguments.workers.map { .count($0) } ?? .perCore)
    if let limit = arguments.maxRestarts {
        runtime.restarts.limit = limit
        runtime.restarts.bootLimit = limit
    }
    runtime.restarts.backoff.maximum = arguments.backoffMaximum ?? runtime.restarts.backoff.maximum
    runtime.executor = arguments.executor
    return runtime
}

/// Fills memory that every child shares until it writes there, in small pages: each fork copies its page tables.
func load(_ mebibytes: Int) {
    guard mebibytes > 0 else { return }
    let count = mebibytes << 20
    let memory = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { fail("no memory for the ballast", code: 75) }
    madvise(memory, count, MADV_NOHUGEPAGE)
    memset(memory, 1, count)
}

func serve(_ arguments: Arguments) throws -> SupervisorSummary {
    load(arguments.ballast)
    var runtime = runtime(arguments)
    let count = arguments.workers ?? cpuCount()
    // What systemd has bound (FileDescriptorName=http of app.socket) comes before the arguments.
    let listener =
        try Listener.inherited(named: "http").first
        ?? Listener(arguments.endpoint, sharing: arguments.reusePort ? .reusePort(queues: count) : .sharedQueue)
    runtime.hooks.onAllReady = {
        let place = arguments.unixPath.map { "unix:\($0)" } ?? "http://\(listener.address)"
        print("listening on \(place) (pid \(getpid()), \(count) workers)")
        fflush(nil)
    }
    return try runtime.run { worker in
        try await listener.serve { connection in
            var handler = HelloHandler(worker: worker, connection: connection)
            try await handler.serve()
        }
    }
}

do {
    switch try Arguments.parse(Array(CommandLine.arguments.dropFirst())) {
    case .help: print(Arguments.usage, terminator: "")
    case .printConfig(let arguments):
        print(EnvironmentSettings.text(of: try runtime(arguments).effectiveSettings()), terminator: "")
    case .serve(let arguments): exit(try serve(arguments).outcome.exitCode)
    }
} catch let error as UsageError {
    fail(error.text, code: 64)
} catch let error as EnvironmentSettingsError {
    fail("\(error)", code: 64)
} catch let error as SupervisorError {
    // Settings that make no sense are bad usage, too: a service manager need not try again.
    if case .badSettings = error.code { fail("\(error)", code: 64) }
    fail("\(error)", code: 75)
} catch {
    fail("\(error)", code: 75)
}
