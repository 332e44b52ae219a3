// Pid files and log files.

import PreforkFixtureSupport
import PreforkSupervisor
import PreforkSystem

/// `pid-file PATH`: takes it and waits for its end.
func pidFileScenario(_ arguments: [String]) throws {
    let file = try PidFile.take(arguments[0])
    say("taken \(getpid())")
    pauseForEver()
    _ = file.remove()
}

/// `pid-file-child PATH`: a child that inherits the file and goes takes nothing away.
func pidFileChildScenario(_ arguments: [String]) throws {
    let file = try PidFile.take(arguments[0])
    join(try child { require(!file.remove(), "a child removed the file") })
    require(access(arguments[0], F_OK) == 0, "the file is gone")
    require(file.remove(), "its owner could not remove it")
    require(access(arguments[0], F_OK) != 0, "the file is still there")
    require(!file.remove(), "removed twice")
    say("done")
}

/// `pid-file-exec PATH`: takes it and becomes another program, which adopts it.
func pidFileExecScenario(_ arguments: [String]) throws {
    let file = try PidFile.take(arguments[0])
    for descriptor in file.descriptors { _ = fcntl(descriptor, F_SETFD, 0) }
    become(["pid-file-adopt", arguments[0]] + file.descriptors.map(String.init))
}

func pidFileAdoptScenario(_ arguments: [String]) throws {
    let file = try PidFile.adopt(arguments.dropFirst().compactMap { Int32($0) }, path: arguments[0])
    for descriptor in file.descriptors { require(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0, "not close-on-exec") }
    say("adopted \(getpid())")
    pauseForEver()
    _ = file.remove()
}

/// `pid-file-of-before PATH`: holds it as this package did before `PATH.lock`: the lock is on the file itself.
func pidFileOfBeforeScenario(_ arguments: [String]) {
    let file = open(arguments[0], O_RDWR | O_CREAT, 0o644)
    let text = "\(getpid())\n"
    require(file >= 0 && write(file, text, text.utf8.count) > 0, "no file: errno \(errno)")
    require(flock(file, LOCK_EX | LOCK_NB) == 0, "not locked: errno \(errno)")
    say("locked")
    pauseForEver()
}

/// `lock-as-nobody PATH`: makes a user without rights lock a file that every user may read, and named its process.
func lockAsNobodyScenario(_ arguments: [String]) throws {
    let writable = open(arguments[0], O_RDWR | O_CREAT | O_TRUNC, 0o644)
    require(writable >= 0, "no file: errno \(errno)")
    let holder = try child {
        require(setuid(65_534) == 0, "still root")
        let file = open(arguments[0], O_RDONLY)
        require(file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0, "not locked: errno \(errno)")
        say("locked")
        pauseForEver()
    }
    let text = "\(holder)\n"
    pwrite(writable, text, text.utf8.count, 0)
    say("written")
    join(holder)
}

/// `pid-file-race PATH COUNT`: of many children that find a stale file at once one gets it, again and again.
func pidFileRaceScenario(_ arguments: [String]) throws {
    let path = arguments[0]
    let words = try SharedWords()
    let rounds: Int = arguments.number(1, default: 50)
    for round in 1...rounds {
        // Left over from a process that died without a chance to remove it.
        let stale = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        require(stale >= 0, "no stale file: errno \(errno)")
        _ = write(stale, "999999\n", 7)
        close(stale)
        words[0] = 0
        words[1] = 0
        words[2] = 0
        let children = try (0..<4).map { _ in
            try child {
                until { words[2] == 1 }
                do throws(PidFileError) {
                    let file = try PidFile.take(path)
                    _ = words.next(0)
                    until { words[0] + words[1] == 4 }
                    require(readLine(of: path) == "\(getpid())", "the file says \(readLine(of: path))")
                    // Its end leaves the file behind, as SIGKILL does.
                    _ = Unmanaged.passRetained(file)
                } catch {
                    guard case .held = error.code else { fail(error) }
                    _ = words.next(1)
                }
            }
        }
        words[2] = 1
        children.forEach { join($0) }
        require(words[0] == 1, "round \(round): \(words[0]) have taken the file")
    }
    say("rounds \(rounds)")
}

/// `log-limit PATH`: the file may not grow beyond some bytes, as on a full disk that takes the beginning of a line.
func logLimitScenario(_ arguments: [String]) throws {
    let log = try LogFile(path: arguments[0])
    log.write(LogLine(.info, "first"))
    var limit = rlimit(rlim_cur: 100, rlim_max: .max)
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    log.write(LogLine(.info, String(repeating: "torn ", count: 40)))
    log.write(LogLine(.info, "lost"))
    let lost = log.lost
    limit.rlim_cur = .max
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    log.write(LogLine(.info, "later"))
    say("lost \(lost), then \(log.lost)")
}

func readLine(of path: String) -> String {
    ((try? SmallFile.read(path)) ?? "").split(separator: "\n").first.map(String.init) ?? ""
}

/// Until SIGTERM.
func pauseForEver() {
    signal(SIGTERM) { _ in }
    pause()
}

/// Replaces this process by another scenario of the same program.
func become(_ arguments: [String]) -> Never {
    var argv = ([CommandLine.arguments[0]] + arguments).map { strdup($0) } + [nil]
    execv("/proc/self/exe", &argv)
    say("execv: errno \(errno)")
    _exit(75)
}
