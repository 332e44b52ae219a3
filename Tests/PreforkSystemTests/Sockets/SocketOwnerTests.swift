// Whose the file of a Unix listener is.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(1))) struct SocketOwnerTests {
    private func makeDirectory() throws -> String {
        let directory = try temporaryPath()
        #expect(mkdir(directory, 0o755) == 0)
        return directory
    }

    private func owner(of path: String) -> [UInt32] {
        var status = stat()
        return stat(path, &status) == 0 ? [status.st_uid, status.st_gid, UInt32(status.st_mode) & 0o7777] : []
    }

    @Test(.enabled(if: geteuid() == 0), arguments: [
        (SocketOwner(user: "nobody", group: "65533"), [65_534, 65_533, 0o660]),
        (SocketOwner(group: "4242"), [0, 4_242, 0o660]), (SocketOwner(user: "4243"), [4_243, 0, 0o660]),
        (.unchanged, [0, 0, 0o660]),
    ] as [(SocketOwner, [UInt32])])
    func theFileHasTheOwnerAndTheModeAndServes(wanted: SocketOwner, expected: [UInt32]) throws {
        let directory = try makeDirectory()
        defer { rmdir(directory) }
        let path = "\(directory)/app.sock"
        let listener = try Listener(.unix(path, mode: 0o660, owner: wanted))
        #expect(owner(of: path) == expected)
        let client = try Socket.open(for: listener.address)
        defer { close(client) }
        try Socket.connect(client, to: listener.address)
        listener.close()
        #expect(entries(directory).isEmpty)
    }

    @Test(arguments: [
        (SocketOwner(user: "no-such-user-here"), "no user no-such-user-here"),
        (SocketOwner(group: "no such group"), "no group no such group"), (SocketOwner(user: ""), "no user "),
        (SocketOwner(user: "4294967295"), "no user 4294967295"), (SocketOwner(group: "-1"), "no group -1"),
        (SocketOwner(user: "root\u{0}x"), "no user"),
    ])
    func whoDoesNotExistIsRefusedByName(owner: SocketOwner, text: String) throws {
        let path = try temporaryPath()
        let error = #expect(throws: SystemError.self) { try Listener(.unix(path, owner: owner)) }
        #expect(error?.errno == .invalidArgument && "\(error!)".contains(text), "\(error!)")
        #expect(access(path, F_OK) != 0)
    }

    @Test func anAbstractNameHasNoOwner() {
        let error = #expect(throws: SystemError.self) {
            try Listener(.unix("\u{0}prefork-owner", owner: SocketOwner(user: "0")))
        }
        #expect(error?.errno == .invalidArgument)
    }

    @Test(.enabled(if: geteuid() == 0)) func whoMayNotGiveItAwayHearsSo() async throws {
        let directory = try makeDirectory()
        #expect(chown(directory, 65_534, 65_534) == 0)
        defer { rmdir(directory) }
        let program = try ChildProgram(
            "/usr/bin/setpriv",
            ["--reuid=65534", "--regid=65534", "--clear-groups", ChildProgram.path(of: "host-fixture"), "unix-owner",
             "\(directory)/app.sock", "0", "0"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.hasPrefix("error fchownat(\(directory)/app.sock): "), "\(program.output)")
        #expect(entries(directory).isEmpty, "nothing is left")
    }

    /// The directory's owner puts a link to another file in the place of the private name.
    @Test(.enabled(if: geteuid() == 0)) func onlyTheSocketItselfIsGivenAway() throws {
        let directory = try makeDirectory()
        defer {
            for name in entries(directory) { unlink("\(directory)/\(name)") }
            rmdir(directory)
        }
        let victim = try Listener(.unix("\(directory)/victim.sock"))
        let place = try FilePlace("\(directory)/app.sock")
        #expect(link("\(directory)/victim.sock", "\(directory)/hard") == 0)
        #expect(symlink("victim.sock", "\(directory)/soft") == 0)
        close(open("\(directory)/file", O_CREAT | O_WRONLY, 0o600))
        let owner = SocketOwner.Numbers(user: 65_534, group: 65_534)
        for name in ["hard", "soft", "file", "nothing"] {
            #expect(throws: SystemError.self) { try place.giveAway(name, to: owner) }
        }
        #expect(self.owner(of: "\(directory)/victim.sock") == [0, 0, 0o600])
        #expect(self.owner(of: "\(directory)/file") == [0, 0, 0o600])
        withExtendedLifetime(victim) {}
    }

    /// The name among what the next image is left is what builds without owners have written.
    @Test func anEndpointWithoutAnOwnerReadsAsBefore() {
        #expect("\(Endpoint.unix("/run/a \"b\".sock"))" == #"unix("/run/a \"b\".sock", mode: 384)"#)
        #expect("\(Endpoint.tcp("::1", 80))" == #"tcp("::1", 80)"#)
        let owned = Endpoint.unix("/a", mode: 0o660, owner: SocketOwner(user: "app", group: "web"))
        #expect("\(owned)" == #"unix("/a", mode: 432, owner: app:web)"#)
    }
}
