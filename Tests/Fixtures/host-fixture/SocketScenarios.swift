// Unix sockets at a path that others want, too, or play tricks with.

import PreforkFixtureSupport
import PreforkSystem

/// `unix-listen PATH`: listens there until SIGTERM.
func unixListenScenario(_ arguments: [String]) throws {
    let listener = try Listener(.unix(arguments[0]))
    say("listening")
    pauseForEver()
    listener.close()
}

/// `closed-descriptors PATH`: started without standard streams, nothing of the supervisor's gets their numbers.
func closedDescriptorsScenario(_ arguments: [String]) throws {
    let output = fcntl(1, F_DUPFD_CLOEXEC, 10)
    for number in Int32(0)...2 { close(number) }
    let listener = try Listener(.unix(arguments[0]))
    let file = try PidFile.take(arguments[0] + ".pid")
    require(dup2(output, 1) == 1, "no output")
    say("lowest \(([listener.descriptor] + file.descriptors).min() ?? -1)")
    listener.close()
}

/// `unix-storm PATH ROUNDS SEED`: many start at once, where nothing is, where a dead socket is, or where a living one
/// is about to end. One gets the path, and keeps it.
func unixStormScenario(_ arguments: [String]) throws {
    let path = arguments[0]
    let rounds: Int = arguments.number(1, default: 50)
    var random = SplitMix64(seed: arguments.number(2, default: 1))
    let words = try SharedWords()
    let starters = 6
    for round in 1...rounds {
        for word in 0..<6 { words[word] = 0 }
        let isEnding = random.next() % 3 == 0
        if random.next() % 2 == 0 { leaveDeadSocket(path) }
        var ending: Int32?
        if isEnding {
            unlink(path)
            ending = try child {
                let listener = try Listener(.unix(path))
                words[3] = 1
                until { words[2] == 1 }
                listener.close()
            }
            until { words[3] == 1 }
        }
        let children = try (0..<starters).map { index in
            let delay = UInt32(random.next() % 300)
            let leaves = random.next() % 2 == 0
            return try child {
                until { words[2] == 1 }
                usleep(delay)
                do throws(SystemError) {
                    let listener = try Listener(.unix(path))
                    _ = words.next(0)
                    until { words[0] + words[1] == starters }
                    require(answers(path, listener), "round \(round): a living socket has lost its path")
                    _ = words.next(4)
                    until { words[4] == words[0] }
                    // As SIGKILL does.
                    if leaves { _exit(0) }
                    listener.close()
                } catch {
                    require(error.errno == .addressInUse, "\(error)")
                    _ = words.next(1)
                }
            }
        }
        words[2] = 1
        children.forEach { join($0) }
        if let ending { join(ending) }
        require(words[0] <= 1, "round \(round): \(words[0]) servers live at one path")
        require(isEnding || words[0] == 1, "round \(round): nobody got the path")
    }
    say("rounds \(rounds)")
}

private func leaveDeadSocket(_ path: String) {
    unlink(path)
    let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let code = SocketAddress.unix(path: path).withSockaddr { bind(left, $0, $1) }
    require(code == 0 && listen(left, 1) == 0, "no dead socket: errno \(errno)")
    close(left)
}

/// Whether a connection to the path comes to this listener.
private func answers(_ path: String, _ listener: Listener) -> Bool {
    let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(client) }
    guard SocketAddress.unix(path: path).withSockaddr({ connect(client, $0, $1) }) == 0 else { return false }
    guard let accepted = try? Socket.accept(listener.descriptor) else { return false }
    close(accepted.socket)
    return true
}

/// `unix-links DIRECTORY VICTIM ROUNDS`: a user without rights, whose directory it is, puts links to root's file at
/// every name that appears there. Prints the victim's mode when a change of it was seen, else "rounds".
func unixLinksScenario(_ arguments: [String]) throws {
    let (directory, victim) = (arguments[0], arguments[1])
    let rounds: Int = arguments.number(2, default: 100)
    func attacker(_ attack: () throws -> Void) throws -> Int32 {
        try child {
            require(chdir(directory) == 0 && setuid(65_534) == 0, "no attacker")
            // The change of user has cleared it (prctl(2)).
            try Credentials.setParentDeathSignal(.kill)
            while true { try attack() }
        }
    }
    let attackers = [
        // The name is known: a link is ready and takes the socket's place in one step.
        try attacker {
            symlink(victim, "ready.link")
            var status = stat()
            while lstat("app.sock", &status) != 0 {}
            rename("ready.link", "app.sock")
            usleep(200)
            unlink("app.sock")
        },
        try attacker {
            for name in DirectoryListing.names(".") where !name.hasSuffix(".link") {
                symlink(victim, "other.link")
                rename("other.link", name)
                usleep(200)
                unlink(name)
            }
        },
    ]
    for _ in 0..<rounds {
        if let listener = try? Listener(.unix(directory + "/app.sock", mode: 0o666)) {
            listener.close()
        }
        var status = stat()
        require(stat(victim, &status) == 0, "the victim is gone")
        require(status.st_mode & 0o777 == 0o600, "root's file has mode \(String(status.st_mode & 0o777, radix: 8))")
    }
    attackers.forEach(killAndReap)
    say("rounds \(rounds)")
}

/// `unix-owner PATH USER GROUP`: the file's owner and mode, or the error.
func unixOwnerScenario(_ arguments: [String]) throws {
    do {
        let owner = SocketOwner(user: arguments[1], group: arguments[2])
        let listener = try Listener(.unix(arguments[0], mode: 0o660, owner: owner))
        var status = stat()
        require(stat(arguments[0], &status) == 0, "no file")
        say("\(status.st_uid) \(status.st_gid) \(String(status.st_mode & 0o7777, radix: 8))")
        listener.close()
    } catch let error as SystemError {
        say("error \(error)")
    }
}
