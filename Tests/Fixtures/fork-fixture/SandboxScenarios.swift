// What sandboxed processes may still do. Each probe is harmless where it is allowed.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `sandbox PROBE ...`: a worker makes each probe and says what came of it. `managed` as the first one: a managed process
/// makes them, too. `plain`: a managed process of a program without workers.
func sandboxScenario(_ arguments: [String]) throws {
    let form = ["managed", "plain"].first { $0 == arguments.first }
    let probes = form == nil ? arguments : Array(arguments.dropFirst())
    if form == "plain" {
        let manager = ProcessManager()
        try manager.addTarget("target") { child in
            for probe in probes { say("target \(probe) \(await outcome(of: probe))") }
            return 0
        }
        _ = try manager.run()
        return
    }
    let runtime = ForkRuntime(workers: .count(1))
    if form == "managed" {
        try runtime.manager.addTarget("target") { child in
            for probe in probes { say("target \(probe) \(await outcome(of: probe))") }
            child.ready()
            try await child.stopRequested.wait()
            return 0
        }
    }
    let summary = try runtime.run { worker in
        for probe in probes { say("worker \(probe) \(await outcome(of: probe))") }
        worker.ready()
        say("done \(getpid())")
        try await worker.stopRequested.wait()
    }
    exit(summary.outcome.exitCode)
}

/// `done`, or the name of the errno.
private func outcome(of probe: String) async -> String {
    let parts = probe.split(separator: "=", maxSplits: 1).map(String.init)
    let value = parts.count == 2 ? parts[1] : ""
    switch parts[0] {
    case "read": return closing(open(value, O_RDONLY | O_CLOEXEC))
    case "write": return closing(open(value, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
    // Fails in any case: there is no such file.
    case "acct": return result(acct("/nowhere/at-all"))
    case "supervisor": return result(kill(getppid(), 0))
    case "family": return closing(socket(Int32(value) ?? 0, Int32(SOCK_RAW.rawValue), 0))
    case "connect", "bind": return port(parts[0], UInt16(value) ?? 0)
    case "thread": return inThread { result(acct("/nowhere/at-all")) }
    case "run": return await run(Command(value))
    case "run-without-files":
        var command = Command(value)
        command.sandbox = Sandbox(systemCalls: .all)
        command.sandbox?.files = []
        return await run(command)
    case "crash":
        trap()
        return "no crash"
    default: return "no such probe"
    }
}

private func result(_ number: Int32) -> String { number >= 0 ? "done" : Errno.current.name }

private func closing(_ number: Int32) -> String {
    let text = result(number)
    if number >= 0 { close(number) }
    return text
}

private func port(_ call: String, _ number: UInt16) -> String {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if socket < 0 { return "socket \(Errno.current.name)" }
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = number.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            return result(call == "bind" ? Glibc.bind(socket, address, size) : Glibc.connect(socket, address, size))
        }
    }
}

/// In a thread that the process starts after it has entered its sandbox.
private func inThread(_ body: @escaping @Sendable () -> String) -> String {
    final class Box: @unchecked Sendable {
        // Sendable: written by the thread before it gives the byte, read after that.
        var text = ""
    }
    let box = Box()
    guard let pipe = try? makeBlockingPipe() else { return "no pipe" }
    do {
        try startThread {
            box.text = body()
            _ = write(pipe.writing, [1], 1)
        }
    } catch { return "\(error)" }
    var byte: UInt8 = 0
    while read(pipe.reading, &byte, 1) < 0 {}
    return box.text
}

private func run(_ command: Command) async -> String {
    do {
        let output = try await Subprocess.run(command)
        return "code \(output.exit.returnCode ?? -999)"
    } catch let error as SpawnError {
        return "\(error.step) \(error.errno.name)"
    } catch {
        return "\(error)"
    }
}
