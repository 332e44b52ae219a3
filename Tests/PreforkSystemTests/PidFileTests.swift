// Pid files: one owner, whatever was left behind.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct PidFileTests {
    @Test func aLivingOwnerIsAnErrorWithItsPidAndADeadOneIsFollowed() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let first = try ChildProgram("host-fixture", ["pid-file", path])
        try await first.waitForLine("taken")
        #expect(read(path) == "\(first.pid)\n")
        #expect(throws: PidFileError(.held(by: first.pid), path: path)) { _ = try PidFile.take(path) }
        first.send(.kill)
        #expect(try await first.waitForExit() == -SIGKILL)
        #expect(read(path) == "\(first.pid)\n", "SIGKILL leaves the file behind")
        let file = try PidFile.take(path)
        #expect(read(path) == "\(getpid())\n")
        #expect(file.remove())
        #expect(access(path, F_OK) != 0)
    }

    @Test func whatAStaleFileSaysIsNotTrusted() throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        // Process 1 lives, and never had it.
        for content in ["1\n", "", "\(getpid())\n", "garbage", "-1\n", String(repeating: "9", count: 10_000)] {
            try content.withCString { text in
                let file = try #require(fopen(path, "w"))
                fputs(text, file)
                fclose(file)
            }
            let file = try PidFile.take(path)
            #expect(read(path) == "\(getpid())\n")
            file.remove()
        }
    }

    @Test func itsOwnerRemovesItAtItsEndOnly() async throws {
        let path = try temporaryPath()
        let program = try ChildProgram("host-fixture", ["pid-file", path])
        try await program.waitForLine("taken")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(access(path, F_OK) != 0)
        let forking = try ChildProgram("host-fixture", ["pid-file-child", path])
        #expect(try await forking.waitForExit() == 0)
        try await forking.waitForLine("done")
    }

    @Test func aFileThatSomebodyElsePutThereIsLeftAlone() throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let file = try PidFile.take(path)
        unlink(path)
        fclose(fopen(path, "w"))
        #expect(!file.remove())
        #expect(access(path, F_OK) == 0)
    }

    @Test func itSurvivesAnExecWithoutAMomentOfFreedom() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram("host-fixture", ["pid-file-exec", path])
        let pid = try await program.waitForLine("adopted ")
        #expect(pid == "\(program.pid)")
        #expect(throws: PidFileError(.held(by: program.pid), path: path)) { _ = try PidFile.take(path) }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(access(path, F_OK) != 0)
    }

    @Test func ofManyThatFindAStaleFileOneGetsIt() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram("host-fixture", ["pid-file-race", path, "60"])
        #expect(try await program.waitForExit(within: .seconds(90)) == 0)
        try await program.waitForLine("rounds 60")
        #expect(!entries("/tmp").contains { "/tmp/\($0)".hasPrefix(path + ".") }, "a file under another name was left")
    }

    @Test func otherThingsAtThePathAreNamed() throws {
        let path = try temporaryPath()
        mkfifo(path, 0o600)
        #expect(throws: PidFileError(.notRegular, path: path)) { _ = try PidFile.take(path) }
        unlink(path)
        mkdir(path, 0o700)
        #expect(throws: PidFileError(.notRegular, path: path)) { _ = try PidFile.take(path) }
        rmdir(path)
        let missing = "\(path)/x.pid"
        #expect {
            _ = try PidFile.take(missing)
        } throws: { error in
            guard case .system(let error) = (error as? PidFileError)?.code else { return false }
            return error.call == "open" && error.errno == .noEntry
        }
    }

    @Test func theTableOfLocksTellsWhoHasAFile() {
        let table = """
            1: POSIX  ADVISORY  WRITE 40 08:01:77 0 EOF
            2: FLOCK  ADVISORY  WRITE 41 08:01:78 0 EOF
            3: FLOCK  ADVISORY  WRITE 42 fe:10:77 0 EOF
            3: -> FLOCK  ADVISORY  WRITE 43 08:01:77 0 EOF
            4: FLOCK  ADVISORY  WRITE 0 08:01:77 0 EOF
            5: FLOCK  ADVISORY  WRITE 44 08:01:77 0 EOF
            nonsense
            """
        #expect(FileLocks.holder(of: FileIdentity(major: 8, minor: 1, inode: 77), in: table) == 44)
        #expect(FileLocks.holder(of: FileIdentity(major: 254, minor: 16, inode: 77), in: table) == 42)
        #expect(FileLocks.holder(of: FileIdentity(major: 8, minor: 1, inode: 79), in: table) == nil)
    }
}
