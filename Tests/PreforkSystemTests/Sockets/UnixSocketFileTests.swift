// Unix sockets at a path: one living server, nothing stolen, nothing followed.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct UnixSocketFileTests {
    /// A directory of its own for each test.
    private func makeDirectory() throws -> String {
        let directory = try temporaryPath()
        #expect(mkdir(directory, 0o755) == 0)
        return directory
    }

    private func remove(_ directory: String) {
        for name in entries(directory) { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }

    private func leaveDeadSocket(_ path: String) throws {
        let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #expect(SocketAddress.unix(path: path).withSockaddr { bind(left, $0, $1) } == 0)
        close(left)
    }

    @Test func aSocketThatIsBoundAndDoesNotListenYetIsNotDead() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let path = "\(directory)/app.sock"
        let other = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(other) }
        #expect(SocketAddress.unix(path: path).withSockaddr { bind(other, $0, $1) } == 0)
        let error = #expect(throws: SystemError.self) { try Listener(.unix(path)) }
        #expect(error == SystemError("bind", .addressInUse, on: "unix:\(path)"))
        #expect(listen(other, 1) == 0)
        let client = try Socket.open(for: .unix(path: path))
        defer { close(client) }
        try Socket.connect(client, to: .unix(path: path))
    }

    @Test func ofManyThatStartAtOnceOneLives() async throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let program = try ChildProgram("host-fixture", ["unix-storm", "\(directory)/app.sock", "300", "13"])
        #expect(try await program.waitForExit(within: .seconds(90)) == 0)
        try await program.waitForLine("rounds 300")
        #expect(!entries(directory).contains { $0.contains("prefork") || $0.hasSuffix(".lock") }, "something was left")
    }

    @Test(.enabled(if: geteuid() == 0, "another user's links need root"))
    func linksOfWhoeverOwnsTheDirectoryAreNotFollowed() async throws {
        let directory = try makeDirectory()
        let victim = try temporaryFile()
        defer {
            unlink(victim)
            remove(directory)
        }
        #expect(chown(directory, 65_534, 65_534) == 0)
        let program = try ChildProgram("host-fixture", ["unix-links", directory, victim, "2000"])
        #expect(try await program.waitForExit(within: .seconds(90)) == 0)
        try await program.waitForLine("rounds 2000")
    }

    @Test func theModeIsExactWhateverTheFileMask() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let mask = umask(0o077)
        defer { umask(mask) }
        let listener = try Listener(.unix("\(directory)/app.sock", mode: 0o666))
        var status = stat()
        #expect(stat("\(directory)/app.sock", &status) == 0 && status.st_mode & 0o777 == 0o666)
        #expect(umask(0o077) == 0o077, "the process's mask is untouched")
        listener.close()
        #expect(entries(directory).isEmpty, "nothing is left")
    }

    @Test func everyAddressIsThePublicOne() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let address = SocketAddress.unix(path: "\(directory)/app.sock")
        let listener = try Listener(.unix("\(directory)/app.sock"))
        #expect(listener.address == address)
        #expect(try Socket.localAddress(listener.descriptor) == address)
        let client = try Socket.open(for: address)
        defer { close(client) }
        try Socket.connect(client, to: address)
        #expect(try Socket.peerAddress(client) == address)
        #expect(try Listener(adopting: listener.duplicate()).address == address)
    }

    @Test func aNameThatFillsTheWholeAddressHasRoom() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let path = "\(directory)/" + String(repeating: "x", count: 107 - directory.utf8.count - 1)
        #expect(path.utf8.count == 107)
        let listener = try Listener(.unix(path))
        let client = try Socket.open(for: listener.address)
        defer { close(client) }
        try Socket.connect(client, to: listener.address)
        #expect(entries(directory).count == 1)
        listener.close()
        #expect(throws: SystemError("bind", .nameTooLong, on: "unix:\(path)x")) { try Listener(.unix(path + "x")) }
        #expect(throws: SystemError("bind", .noEntry, on: "unix:\(directory)/no/app")) {
            try Listener(.unix("\(directory)/no/app"))
        }
    }

    @Test func aProgramWithoutStandardStreamsGivesTheirNumbersToNothingElse() async throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let program = try ChildProgram("host-fixture", ["closed-descriptors", "\(directory)/app.sock"])
        #expect(try await program.waitForExit() == 0)
        let lowest = try #require(Int(try await program.waitForLine("lowest ")))
        #expect(lowest > 2)
    }

    @Test func anAbstractNameNeedsNoFile() throws {
        let name = "\0prefork-test-\(getpid())"
        let listener = try Listener(.unix(name))
        #expect(throws: SystemError.self) { try Listener(.unix(name)) }
        listener.close()
        try Listener(.unix(name)).close()
    }

    @Test func whatIsNoLockFileIsNamedAndLeftAlone() throws {
        let directory = try makeDirectory()
        let victim = try temporaryFile()
        defer {
            unlink(victim)
            remove(directory)
        }
        let (path, lock) = ("\(directory)/app.sock", "\(directory)/app.sock.lock")
        chmod(victim, 0o600)
        try leaveDeadSocket(path)
        let plants: [(words: String, plant: () -> Void)] = [
            ("a symbolic link", { symlink(victim, lock) }),
            ("a symbolic link", { symlink("/nowhere", lock) }),
            ("is not a regular file", { mkfifo(lock, 0o600) }),
            ("has 2 names", { link(victim, lock) }),
            ("can be opened by other users", { close(open(lock, O_CREAT | O_WRONLY, 0o644)) }),
        ]
        for (words, plant) in plants {
            plant()
            let error = #expect(throws: SystemError.self) { try Listener(.unix(path)) }
            #expect(error?.object.contains("\(lock)") == true && error?.object.contains(words) == true, "\(words)")
            unlink(lock)
        }
        #expect(entries(directory) == ["app.sock"])
        try Listener(.unix(path)).close()
    }

    @Test(.enabled(if: geteuid() == 0, "another user's file needs root"))
    func aLockFileOfAnotherUserIsRefusedWithoutWaiting() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let (path, lock) = ("\(directory)/app.sock", "\(directory)/app.sock.lock")
        try leaveDeadSocket(path)
        let planted = open(lock, O_CREAT | O_RDWR, 0o600)
        defer { close(planted) }
        #expect(fchown(planted, 65_534, 65_534) == 0 && flock(planted, LOCK_EX) == 0)
        let error = #expect(throws: SystemError.self) { try Listener(.unix(path)) }
        #expect(error?.errno == .notPermitted && error?.object.contains("belongs to user 65534: remove it") == true)
    }

    @Test func aLockThatAnotherProcessHoldsIsWaitedForAndThenNamed() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let path = "\(directory)/app.sock"
        try leaveDeadSocket(path)
        let lock = try #require(try LockFile.take(beside: path))
        let error = #expect(throws: SystemError.self) { try Listener(.unix(path)) }
        #expect(error?.call == "flock" && error?.errno == .wouldBlock)
        withExtendedLifetime(lock) {}
    }

    @Test func aListenerThatIsLeftToTheNextImageIsFoundByItsPathAndChangesItsMode() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let path = "\(directory)/app.sock"
        let bound = try UnixSocketFile.bind(path, mode: 0o600, backlog: 1, isTrial: false)
        defer { close(bound.socket) }
        let text = try #require(bound.file?.handoverText)
        let adopted = try #require(UnixSocketFile.adopt(path, text: text))
        try adopted.change(mode: 0o640)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
        // Something else at the path by now: neither its mode nor its name is touched.
        let other = try temporaryFile()
        defer { unlink(other) }
        chmod(other, 0o600)
        unlink(path)
        symlink(other, path)
        try adopted.change(mode: 0o666)
        adopted.remove()
        #expect(stat(other, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(lstat(path, &status) == 0, "somebody else's name")
    }

    @Test func aTrialLeavesNothingAndTellsWhatIsInTheWay() throws {
        let directory = try makeDirectory()
        defer { remove(directory) }
        let path = "\(directory)/app.sock"
        let bound = try UnixSocketFile.bind(path, mode: 0o600, backlog: 1, isTrial: true)
        close(bound.socket)
        #expect(bound.file == nil && entries(directory).isEmpty)
        let listener = try Listener(.unix(path))
        #expect(throws: SystemError("bind", .addressInUse, on: "unix:\(path)")) {
            try UnixSocketFile.bind(path, mode: 0o600, backlog: 1, isTrial: true)
        }
        listener.close()
    }

    @Test(arguments: ["/run/app.sock", "app.sock", "/a b/ä.sock", "/.hidden"])
    func privateNamesTellThePublicOne(path: String) {
        let name = UnixSocketName.makePrivate(for: path)
        #expect(!name.isRelative && UnixSocketName.publicAddress(of: name.address) == .unix(path: path))
        #expect(UnixSocketName.publicAddress(of: .unix(path: path)) == .unix(path: path))
    }
}
