// Rights given up: the order, and what is left afterwards.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

private let root = IdentityTriple(0, 0, 0)

/// A database with two users and three groups.
private let lookup = AccountLookup(
    user: { (name) throws(SystemError) in
        if name == "broken" { throw SystemError("getpwnam_r", .inputOutput, on: name) }
        return name == "www" ? UserAccount(name: "www", uid: 33, gid: 34) : nil
    },
    userByID: { (uid) throws(SystemError) in uid == 33 ? UserAccount(name: "www", uid: 33, gid: 34) : nil },
    group: { (name) throws(SystemError) in ["www": 34, "logs": 4, "root": 0][name] },
    groupsOf: { _ in [34, 4, 99] })

@Suite(.timeLimit(.minutes(2))) struct PrivilegesTests {
    private func steps(
        users: IdentityTriple = root, groups: IdentityTriple = root, _ change: (inout Privileges) -> Void
    ) throws(PrivilegesError) -> [PrivilegeStep] {
        var privileges = Privileges()
        change(&privileges)
        return privileges.plan(
            try privileges.resolve(by: lookup, presentGroup: groups.effective), users: users, groupIDs: groups)
    }

    @Test func aGroupAloneIsWarnedOfWhereItLeavesRoot() {
        var privileges = Privileges()
        #expect(privileges.warning(user: 0) == nil)
        privileges.group = "www"
        #expect(privileges.warning(user: 0)?.contains("workers stay root") == true)
        #expect(privileges.warning(user: 1000) == nil)
        privileges.user = "www"
        #expect(privileges.warning(user: 0) == nil)
        privileges = Privileges()
        privileges.groups = .none
        #expect(privileges.warning(user: 0) != nil)
    }

    @Test func stepsComeInTheOneOrderThatWorks() throws {
        let all = try steps {
            $0.user = "www"
            $0.fileMask = 0o027
            $0.rootDirectory = "/srv"
            $0.noNewPrivileges = true
            $0.isDumpable = true
        }
        #expect(
            all == [
                .setFileMask(0o027), .changeRoot("/srv"), .setGroups([34, 4, 99]), .setGroup(34), .setUser(33),
                .renewParentDeathSignal, .verify(user: 33, group: 34), .noNewPrivileges, .setDumpable(true),
            ])
    }

    @Test func nothingAskedForIsNothingDone() throws {
        #expect(try steps { _ in } == [])
        #expect(try steps { $0.isDumpable = false } == [.setDumpable(false)])
    }

    @Test func aUserByNumberHasItsGroupsToo() throws {
        #expect(try steps { $0.user = "33" } == steps { $0.user = "www" })
    }

    @Test func aNumberWithoutALineNeedsAGroup() throws {
        #expect(throws: PrivilegesError(.noGroup(user: "1000"))) { try steps { $0.user = "1000" } }
        #expect(
            try steps {
                $0.user = "1000"; $0.group = "2000"
            } == [
                .setGroups([2000]), .setGroup(2000), .setUser(1000), .renewParentDeathSignal,
                .verify(user: 1000, group: 2000),
            ])
    }

    @Test func supplementaryGroupsAreThoseAskedForAndTheMainOne() throws {
        func groups(_ wanted: Privileges.Groups) throws -> [PrivilegeStep] {
            try steps {
                $0.user = "www"; $0.groups = wanted
            }.filter { if case .setGroups = $0 { true } else { false } }
        }
        #expect(try groups(.ofUser) == [.setGroups([34, 4, 99])])
        #expect(try groups(.none) == [.setGroups([34])])
        #expect(try groups(.list(["logs", "www", "70"])) == [.setGroups([34, 4, 70])])
        #expect(throws: PrivilegesError(.unknownGroup("nosuch"))) { try groups(.list(["nosuch"])) }
    }

    /// Root's own groups must go on request, whatever user the process becomes.
    @Test func supplementaryGroupsCanBeAskedForAlone() throws {
        let group = IdentityTriple(34, 34, 34)
        #expect(try steps { $0.groups = .none } == [.setGroups([0])])
        #expect(try steps(groups: group) { $0.groups = .list(["logs", "www"]) } == [.setGroups([34, 4])])
        #expect(throws: PrivilegesError(.unknownGroup("nosuch"))) { try steps { $0.groups = .list(["nosuch"]) } }
    }

    @Test func whoAlreadyIsThatUserNeedsNoRoot() throws {
        let www = IdentityTriple(33, 33, 33)
        let group = IdentityTriple(34, 34, 34)
        #expect(try steps(users: www, groups: group) { $0.user = "www" } == [.verify(user: 33, group: 34)])
        // Root as the saved ID is the way back: not that user yet.
        let halfway = IdentityTriple(33, 33, 0)
        #expect(try steps(users: halfway, groups: group) { $0.user = "www" }.contains(.setUser(33)))
    }

    @Test func namesThatAreNoneAreErrorsBeforeAnyStep() {
        #expect(throws: PrivilegesError(.unknownUser("nosuch"))) { try steps { $0.user = "nosuch" } }
        #expect(throws: PrivilegesError(.unknownUser("4294967295"))) {
            try steps {
                $0.user = "4294967295"; $0.group = "4"
            }
        }
        #expect(throws: PrivilegesError(.unknownUser("-1"))) { try steps { $0.user = "-1" } }
        #expect(throws: PrivilegesError(.unknownGroup(""))) { try steps { $0.group = "" } }
        #expect(throws: PrivilegesError(.relativePath("srv"))) { try steps { $0.rootDirectory = "srv" } }
        #expect(throws: PrivilegesError(.system(SystemError("getpwnam_r", .inputOutput, on: "broken")))) {
            try steps { $0.user = "broken" }
        }
        #expect(
            PrivilegesError(.system(SystemError("setresuid", .notPermitted, on: "user 33"))).description
                == "setresuid(user 33): Operation not permitted (EPERM)")
    }

    private static let needsRoot: ConditionTrait = .enabled(if: getuid() == 0, "only root has rights to give up")

    @Test(needsRoot) func aProcessThatGaveRootUpCannotHaveItBack() async throws {
        let program = try ChildProgram("host-fixture", ["privileges", "nobody", "daemon"])
        #expect(try await program.waitForExit() == 0)
        let nobody = try #require(try Accounts.user(named: "nobody"))
        let daemon = try #require(try Accounts.group(named: "daemon"))
        #expect(
            try await program.waitForLine("users ") == "\(nobody.uid) \(nobody.uid) groups \(nobody.gid) \(nobody.gid)")
        #expect(try await program.waitForLine("supplementary ") == "\([nobody.gid, daemon].sorted())")
        #expect(try await program.waitForLine("setuid(0) ") == "-1 EPERM")
        #expect(try await program.waitForLine("umask ") == "23 no-new-privileges true dumpable true")
    }

    /// The kernel clears PR_SET_PDEATHSIG at a change of user: workers would outlive their supervisor.
    @Test(needsRoot) func theOrderToDieWithTheSupervisorSurvives() async throws {
        let program = try ChildProgram("host-fixture", ["privileges", "nobody"])
        #expect(try await program.waitForLine("parent death signal ") == "SIGKILL")
        #expect(try await program.waitForExit() == 0)
    }

    @Test(needsRoot) func theUserIsLookedUpOutsideOfTheNewRoot() async throws {
        let path = try temporaryPath()
        mkdir(path, 0o755)
        defer { rmdir(path) }
        let program = try ChildProgram("host-fixture", ["chroot", path])
        #expect(
            try await program.waitForLine("root ")
                == "[] here [] as \(try #require(try Accounts.user(named: "nobody")).uid)")
        #expect(try await program.waitForExit() == 0)
        let missing = try ChildProgram("host-fixture", ["chroot", "\(path)/missing"])
        #expect(
            try await missing.waitForLine("refused: ") == "chdir(\(path)/missing): No such file or directory (ENOENT)")
    }

    @Test(needsRoot) func withoutRootTheRefusedCallIsNamed() async throws {
        let program = try ChildProgram("host-fixture", ["chroot-outside"])
        #expect(try await program.waitForExit() == 0)
        let lines = program.output.split(separator: "\n")
        #expect(lines.first == "refused: chroot(/tmp): Operation not permitted (EPERM)")
        #expect(lines.count { $0.hasPrefix("refused: setgroups(") } == 2)
    }
}
