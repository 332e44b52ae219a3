// What each kind of process has: its descriptors and its rights, told by itself before any code opens more.

import Prefork
import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// Everything that a program can open before it forks, and children of each kind. Settings come from the environment.
///
/// | line                                        | of                                                  |
/// |---------------------------------------------|-----------------------------------------------------|
/// | `held PID ROLE NUMBER TARGET`               | the supervisor: what the table says that it has     |
/// | `own PID NUMBER TARGET`                     | the supervisor: what the program has opened         |
/// | `has KIND PID NUMBER ACCESS TARGET`         | a child                                             |
/// | `news PID NUMBER`                           | a worker: where news of the access log come         |
/// | `rights KIND PID ...`                       | a child                                             |
func rightsScenario(_ arguments: [String]) throws {
    if Handover.isTrial { tellDescriptors("trial") }
    var runtime = ForkRuntime(workers: .count(2))
    let listener = try Listener(.tcp("127.0.0.1", 0))
    let file = open("/dev/zero", O_RDONLY | O_CLOEXEC)
    let store = try SharedStore(capacity: StoreCapacity(entries: 64, bytes: 1 << 16))
    let queue = try WorkQueue<String>(name: "rights")
    let restarts = TargetFailureAction.restart(RestartPolicy())
    try runtime.manager.addTarget("managed", TargetOptions(onFailure: restarts)) { child in
        tell("managed")
        sleepForEver()
    }
    try runtime.manager.addTarget("privileged", TargetOptions(onFailure: restarts, privileges: .supervisor)) { child in
        tell("privileged")
        sleepForEver()
    }
    _ = supervisorKeyring
    tellHeld()
    tellOwn()
    runtime.hooks.beforeFork = { _ in tellHeld() }
    runtime.hooks.afterFork = { _ in tell("worker") }
    runtime.hooks.onAllReady = {
        tellHeld()
        say("all ready \(getpid())")
    }
    let summary = try runtime.run { worker in try await worker.stopRequested.wait() }
    withExtendedLifetime((listener, store, queue)) { say("outcome \(summary.outcome), \(file)") }
    exit(summary.outcome.exitCode)
}

/// A manager that is all its program does.
func plainRightsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { say("log \($0.text)") })
    _ = supervisorKeyring
    try manager.addTarget("managed") { child in
        tell("managed")
        return 0
    }
    try manager.addTarget("privileged", TargetOptions(privileges: .supervisor)) { child in
        tell("privileged")
        return 0
    }
    try manager.run()
    say("outcome")
}

/// A session keyring that children inherit, made when it is first asked for: before the first fork.
private let supervisorKeyring: Int32? = {
    try? Credentials.leaveSessionKeyring()
    return Credentials.sessionKeyring
}()

private func tell(_ kind: String) {
    for held in DescriptorHolders.all where held.role == .accessLogNews || held.role == .linkNews {
        say("news \(getpid()) \(held.number)")
    }
    for number in ProcessBells.current?.numbers ?? [] { say("bell \(getpid()) \(number)") }
    tellDescriptors(kind)
    let status = (try? SmallFile.read("/proc/self/status", limit: 16_384)) ?? ""
    func field(_ name: String) -> String {
        let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") } ?? ""
        return line.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst().joined(separator: ",")
    }
    let kept: [String] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "PREFORK_HANDOVER"].filter {
        ProcessEnvironment.all[$0] != nil
    }
    let isApart = getsid(0) == getpid() && (supervisorKeyring == nil || Credentials.sessionKeyring != supervisorKeyring)
    say(
        "rights \(kind) \(getpid()) uid \(field("Uid")) gid \(field("Gid")) groups \(field("Groups")) "
            + "caps \(field("CapEff")) apart \(isApart) nnp \(field("NoNewPrivs")) umask \(field("Umask")) "
            + "dies \(Credentials.parentDeathSignal == .kill) variables \(kept)")
    let score = (try? SmallFile.read("/proc/self/oom_score_adj"))?.filter { !$0.isWhitespace } ?? ""
    say("score \(kind) \(score)")
}

private func tellHeld() {
    for held in DescriptorHolders.all { say("held \(getpid()) \(held.role) \(held.number) \(target(of: held.number))") }
}

private func tellOwn() {
    let held = Set(DescriptorHolders.all.map(\.number))
    for number in openNumbers() where !held.contains(number) { say("own \(getpid()) \(number) \(target(of: number))") }
}

private func tellDescriptors(_ kind: String) {
    for number in openNumbers() {
        let access = ["read", "write", "both", "path"][Int(fcntl(number, F_GETFL) & O_ACCMODE)]
        say("has \(kind) \(getpid()) \(number) \(access) \(target(of: number))")
    }
}

private func openNumbers() -> [Int32] {
    // The listing's own descriptor is closed by the time it is asked for.
    DirectoryListing.names("/proc/self/fd").compactMap { Int32($0) }.filter { fcntl($0, F_GETFD) >= 0 }.sorted()
}

private func target(of number: Int32) -> String {
    var target = [UInt8](repeating: 0, count: 256)
    let count = readlink("/proc/self/fd/\(number)", &target, target.count)
    return String(decoding: target.prefix(max(0, count)), as: UTF8.self)
}
