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
        defer {
            unlink(path)
            unlink(path + ".lock")
        }
        let program = try ChildProgram("host-fixture", ["pid-file-race", path, "60"])
        #expect(try await program.waitForExit(within: .seconds(90)) == 0)
        try await program.waitForLine("rounds 60")
        let left = entries("/tmp").filter { "/tmp/\($0)".hasPrefix(path + ".") && !$0.hasSuffix(".lock") }
        #expect(left.isEmpty, "a file under another name was left")
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

    @Test func aLinkThatLeadsNowhereIsNamed() throws {
        let path = try temporaryPath()
        symlink("/nowhere/x.pid", path)
        defer { unlink(path) }
        let error = #expect(throws: PidFileError(.notRegular, path: path)) { _ = try PidFile.take(path) }
        #expect(error?.description == "pid file \(path) is not a regular file (a symbolic link is not followed)")
    }

    @Test func whoeverLocksTheFileItselfKeepsNobodyOut() throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        let reader = open(path, O_RDONLY)
        defer { close(reader) }
        #expect(flock(reader, LOCK_EX | LOCK_NB) == 0)
        let file = try PidFile.take(path)
        #expect(read(path) == "\(getpid())\n")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o644, "for monitoring")
        #expect(stat(path + ".lock", &status) == 0 && status.st_mode & 0o777 == 0o600)
        let other = open(path, O_RDONLY)
        defer { close(other) }
        _ = flock(other, LOCK_EX | LOCK_NB)
        #expect(throws: PidFileError(.held(by: getpid()), path: path), "the lock is another one") {
            _ = try PidFile.take(path)
        }
        #expect(file.remove() && access(path + ".lock", F_OK) != 0, "nothing is left")
    }

    @Test(.enabled(if: geteuid() == 0, "another user's lock needs root"))
    func aUserWithoutRightsWhoseProcessTheFileNamesKeepsNobodyOut() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram("host-fixture", ["lock-as-nobody", path])
        try await program.waitForLine("locked")
        try await program.waitForLine("written")
        #expect(try PidFile.take(path).remove())
    }

    @Test func aProgramOfBeforeTheLockFileStillHoldsItsFile() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram("host-fixture", ["pid-file-of-before", path])
        try await program.waitForLine("locked")
        #expect(throws: PidFileError(.held(by: program.pid), path: path)) { _ = try PidFile.take(path) }
    }

    @Test func theFileOfAnImageOfBeforeIsAdoptedAndGetsItsLock() throws {
        let path = try temporaryPath()
        let descriptor = open(path, O_RDWR | O_CREAT, 0o644)
        let file = try PidFile.adopt([descriptor], path: path)
        #expect(file.descriptors.count == 2)
        #expect(throws: PidFileError(.held(by: getpid()), path: path)) { _ = try PidFile.take(path) }
        #expect(file.remove())
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
