// Socket activation, privileges, titles, processors.

import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// `activate NAMES COUNT [PID]`: binds two TCP sockets and one datagram socket as descriptors 3 to 5 and becomes the
/// program that must find them, as systemd does.
func activateScenario(_ arguments: [String]) throws {
    let listeners = try (0..<2).map { _ in try Listener(.tcp("127.0.0.1", 0)) }
    // Out of the way first: the sockets may have these very numbers.
    let copies = listeners.map { fcntl($0.descriptor, F_DUPFD, 20) } + [fcntl(socket(AF_INET, 2, 0), F_DUPFD, 20)]
    for (index, copy) in copies.enumerated() { dup2(copy, Int32(3 + index)) }
    copies.forEach { close($0) }
    setenv("LISTEN_FDS", arguments[1], 1)
    setenv("LISTEN_PID", arguments.count > 2 ? arguments[2] : "\(getpid())", 1)
    if !arguments[0].isEmpty { setenv("LISTEN_FDNAMES", arguments[0], 1) }
    say("bound \(listeners.map { "\($0.address)" }.joined(separator: " "))")
    become(["activated"])
}

func activatedScenario(_ arguments: [String]) throws {
    do throws(InheritedListenerError) {
        let admin = try Listener.inherited(named: "admin")
        say("admin \(admin.map { "\($0.descriptor) \($0.address)" })")
        require(try Listener.inherited(named: "admin").isEmpty, "handed out twice")
        require(admin.allSatisfy { fcntl($0.descriptor, F_GETFL) & O_NONBLOCK != 0 }, "it blocks")
        let all = try Listener.inherited()
        say("all \(all.map { "\($0.descriptor) \($0.address)" })")
    } catch {
        say("refused: \(error)")
    }
    let flags = (3...5).map { fcntl($0, F_GETFD) & FD_CLOEXEC != 0 ? "cloexec" : "open" }
    say("flags \(flags.joined(separator: " "))")
    say("left \(ProcessEnvironment.all.keys.filter { $0.hasPrefix("LISTEN_") })")
}

/// `privileges USER GROUPS`: a child with an order to die with its parent gives root up.
func privilegesScenario(_ arguments: [String]) throws {
    var privileges = Privileges()
    privileges.user = arguments[0]
    if arguments.count > 1 { privileges.groups = .list(arguments[1].split(separator: ",").map(String.init)) }
    privileges.fileMask = 0o027
    privileges.noNewPrivileges = true
    privileges.isDumpable = true
    join(
        try child {
            require(Credentials.parentDeathSignal == .kill, "no parent death signal to begin with")
            do { try privileges.apply() } catch {
                say("refused: \(error)")
                _exit(0)
            }
            say("users \(getuid()) \(geteuid()) groups \(getgid()) \(getegid())")
            var groups = [gid_t](repeating: 0, count: 64)
            let count = getgroups(64, &groups)
            say("supplementary \(groups.prefix(Int(count)).sorted())")
            let status = try SmallFile.read("/proc/self/status", limit: 16_384)
            say("setuid(0) \(setuid(0)) \(Errno(rawValue: errno).name)")
            say(
                "umask \(umask(0)) no-new-privileges \(status.contains("NoNewPrivs:\t1")) "
                    + "dumpable \(Credentials.isDumpable)"
            )
            say("parent death signal \(Credentials.parentDeathSignal.map { "\($0)" } ?? "none")")
        })
}

/// `chroot DIRECTORY`: the user is looked up outside and set inside.
func chrootScenario(_ arguments: [String]) throws {
    var privileges = Privileges()
    privileges.user = "nobody"
    privileges.rootDirectory = arguments[0]
    join(
        try child {
            do { try privileges.apply() } catch {
                say("refused: \(error)")
                _exit(0)
            }
            say(
                "root \(DirectoryListing.names("/").sorted()) "
                    + "here \(DirectoryListing.names(".").sorted()) as \(getuid())"
            )
        })
}

/// `chroot-outside`: without root, each step is refused by name.
func chrootOutsideScenario(_ arguments: [String]) throws {
    join(
        try child {
            require(setuid(65_534) == 0, "not root")
            for change in [
                { (settings: inout Privileges) in settings.rootDirectory = "/tmp" }, { $0.user = "daemon" },
                { $0.group = "daemon" },
                {
                    $0.user = "nobody"; $0.group = "0"
                },
            ] as [(inout Privileges) -> Void] {
                var privileges = Privileges()
                change(&privileges)
                do { try privileges.apply(); say("given") } catch { say("refused: \(error)") }
            }
        })
}

/// `title TEXT REST ...`: sets the title and shows what it must not have damaged.
func titleScenario(_ arguments: [String]) throws {
    let before = ProcessEnvironment.all
    let room = ProcessTitle.prepare()
    say("room \(room)")
    require(ProcessTitle.prepare() == room, "the room changed")
    for length in [0, 1, 5, 300, 20, 5_000, 3] {
        ProcessTitle.set(String(repeating: "x", count: length))
        let shown = try SmallFile.read("/proc/self/cmdline").prefix { $0 != "\0" }
        require(shown.count == min(length, room - 1), "\(length): the kernel shows \(shown.count)")
    }
    require(ProcessTitle.set(arguments[0], name: "worker 3 g2"), "no title")
    require(ProcessEnvironment.all == before, "the environment changed")
    setenv("PREFORK_LATER", "1", 1)
    require(getenv("PREFORK_LATER") != nil, "setenv does not work")
    say("arguments \(CommandLine.arguments.dropFirst(2).joined(separator: "|"))")
    join(
        try child {
            ProcessTitle.set("a child's own");
            require(readLine(of: "/proc/self/cmdline").hasPrefix("a child's own"), "child")
        })
    let start = MonotonicInstant.now
    for number in 0..<100_000 { ProcessTitle.set("prefork: worker \(number & 7) g2 ready [shop]") }
    complain("title: \((MonotonicInstant.now - start).saturatedNanoseconds / 100_000) ns")
    ProcessTitle.set(arguments[0])
    say("set")
    pauseForEver()
}

/// `affinity`: the processors of two workers out of two.
func affinityScenario(_ arguments: [String]) throws {
    say("allowed \(try ProcessorAffinity.allowed())")
    for worker in 0..<3 {
        join(
            try child {
                try CPUAffinity.perWorker.apply(worker: worker)
                say("worker \(worker) \(try ProcessorAffinity.allowed())")
            })
    }
    join(
        try child {
            do { try ProcessorAffinity.set([1_000_000]) } catch { say("refused: \(error)") }
            do { try ProcessorAffinity.set([-1]) } catch { say("refused: \(error)") }
            do { try ProcessorAffinity.set([]) } catch { say("refused: \(error)") }
        })
}

/// `notify-from-child`: a worker that inherited the notifier is silent.
func notifyFromChildScenario(_ arguments: [String]) throws {
    let service = NotifyEnvironment.take()
    require(getenv("NOTIFY_SOCKET") == nil && getenv("WATCHDOG_USEC") == nil, "the variables are still there")
    guard let name = service.notifySocket else { return say("no socket") }
    let notifier = try NotifyClient(socket: name)
    join(try child { require(!(try notifier.send([.ready])), "a child spoke") })
    require(try notifier.send([.ready, .status("one\ntwo"), .mainPID(getpid())]), "not sent")
    let watchdog = NotifyWatchdog(service, pid: getpid(), now: .now)
    say("watchdog \(watchdog.map { "\($0.timeout)" } ?? "none")")
    try service.restore()
    say("restored \(getenv("WATCHDOG_USEC").map { String(cString: $0) } ?? "nothing")")
}
