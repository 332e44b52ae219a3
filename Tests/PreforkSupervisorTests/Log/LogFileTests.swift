// The log in a file: appended, reopened, never waited for.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct LogFileTests {
    private func texts(_ path: String) -> [String] {
        read(path).split(separator: "\n").map { String($0.split(separator: "] ", maxSplits: 1).last ?? "") }
    }

    @Test func linesAreAppendedInTheFormatOfStandardError() throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        for _ in 0..<2 { try LogFile(path: path).write(LogLine(.info, "a worker")) }
        #expect(texts(path) == ["info: a worker", "info: a worker"])
        let line = LogLine(.error, "two\nlines\r\n").written(at: "2026-11-21T03:00:00.042Z", pid: 7)
        #expect(line == "2026-11-21T03:00:00.042Z prefork[7] error: two\\u{A}lines\\u{D}\\u{A}\n")
        // A thread's name, for example, which a worker chooses.
        let name = LogLine(.info, "a\u{1B}[2Jb\u{7}\u{9B}c\u{2028}d \u{E9}\u{20AC}")
        #expect(name.text == "a\\u{1B}[2Jb\\u{7}\\u{9B}c\\u{2028}d \u{E9}\u{20AC}")
    }

    @Test func afterTheFileWasMovedAwayReopenBeginsANewOneUnderTheSameDescriptor() throws {
        let path = try temporaryFile()
        let old = path + ".1"
        defer {
            unlink(path)
            unlink(old)
        }
        let log = try LogFile(path: path)
        let descriptor = log.descriptor
        log.write(LogLine(.info, "one"))
        rename(path, old)
        log.write(LogLine(.info, "two"))
        try log.reopen()
        log.write(LogLine(.info, "three"))
        #expect(texts(old) == ["info: one", "info: two"] && texts(path) == ["info: three"])
        #expect(log.descriptor == descriptor && fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test func aReopenThatFailsKeepsTheOldFile() throws {
        let directory = try temporaryPath()
        mkdir(directory, 0o700)
        let path = directory + "/log"
        let moved = try temporaryPath()
        defer { unlink(moved) }
        let log = try LogFile(path: path)
        rename(path, moved)
        rmdir(directory)
        #expect(throws: SystemError("open", .noEntry, on: path)) { try log.reopen() }
        log.write(LogLine(.info, "still here"))
        #expect(texts(moved) == ["info: still here"])
    }

    @Test(.enabled(if: geteuid() == 0, "making a device needs root"))
    func onAFullDiskLinesAreLostAndCountedAndTheNextOneSaysSo() throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        // /dev/full is device 1, 7 (full(4)).
        try #require(mknod(path, S_IFCHR | 0o600, 1 << 8 | 7) == 0)
        let log = try LogFile(path: path)
        for _ in 0..<3 { log.write(LogLine(.info, "lost")) }
        #expect(log.lost == 3)
        unlink(path)
        try log.reopen()
        log.write(LogLine(.info, "later"))
        #expect(log.lost == 0)
        #expect(texts(path) == ["warning: 3 log lines were lost: No space left on device (ENOSPC)", "info: later"])
    }

    @Test func aLinkIsNotFollowedAtTheStartAndAtAReopen() throws {
        let path = try temporaryPath()
        let victim = try temporaryFile()
        let old = path + ".1"
        defer { for name in [path, old, victim] { unlink(name) } }
        symlink(victim, path)
        let error = #expect(throws: SystemError.self) { _ = try LogFile(path: path) }
        #expect(error?.errno.rawValue == ELOOP && error?.object == "\(path): a symbolic link, which is not followed")
        unlink(path)
        let log = try LogFile(path: path)
        rename(path, old)
        symlink(victim, path)
        #expect(throws: SystemError.self) { try log.reopen() }
        log.write(LogLine(.info, "still here"))
        #expect(read(victim).isEmpty && texts(old) == ["info: still here"])
        unlink(path)
        symlink("/tmp/nowhere-\(getpid())", path)
        #expect(throws: SystemError.self, "neither is one made where a link leads") { try log.reopen() }
        #expect(access("/tmp/nowhere-\(getpid())", F_OK) != 0)
    }

    @Test func aFileWithAnotherNameAndAnythingThatIsNoLogIsRefused() throws {
        let path = try temporaryPath()
        let victim = try temporaryFile()
        defer { for name in [path, victim] { unlink(name) } }
        link(victim, path)
        let error = #expect(throws: SystemError.self) { _ = try LogFile(path: path) }
        #expect(error?.errno == .notPermitted && error?.object == "\(path): the file has 2 names (hard links)")
        #expect(throws: SystemError.self) { _ = try LogFile(path: "/tmp") }
        try LogFile(path: "/dev/null").write(LogLine(.info, "nowhere"))
    }

    @Test(.enabled(if: geteuid() == 0, "another user's file needs root"))
    func rootWritesToNobodyElsesFile() throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        chown(path, 65_534, 65_534)
        let error = #expect(throws: SystemError.self) { _ = try LogFile(path: path) }
        #expect(error?.object == "\(path): the file belongs to user 65534, not to root")
    }

    @Test func whatIsOpenAlreadyIsWrittenToWithoutWaitingAndWithoutAChangeForOthers() throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        let log = try LogFile(path: "/dev/fd/\(ends[1])")
        for _ in 0..<2_000 where log.lost == 0 { log.write(LogLine(.info, String(repeating: "x", count: 200))) }
        #expect(log.lost == 1)
        #expect(fcntl(ends[1], F_GETFL) & O_NONBLOCK == 0)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        #expect(Glibc.read(ends[0], &bytes, bytes.count) > 0)
        log.write(LogLine(.info, "later"))
        #expect(log.lost == 0)
        try log.reopen()
    }

    @Test func aSocketThatNobodyReadsHoldsNobody() throws {
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { ends.forEach { close($0) } }
        let log = try LogFile(path: "/proc/self/fd/\(ends[1])")
        for _ in 0..<20_000 where log.lost == 0 { log.write(LogLine(.info, String(repeating: "x", count: 200))) }
        #expect(log.lost == 1)
    }

    @Test func afterATornLineTheNextBeginsOnItsOwn() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram("host-fixture", ["log-limit", path])
        #expect(try await program.waitForExit() == 0)
        #expect(try await program.waitForLine("lost ") == "2, then 0")
        let lines = texts(path)
        #expect(lines.count == 4 && lines[0] == "info: first" && lines[1].hasPrefix("info: "))
        #expect(
            lines[2].hasPrefix("warning: 2 log lines were lost: File too large (EFBIG)") && lines[3] == "info: later")
    }

    @Test func aPipeThatNobodyReadsHoldsNobody() throws {
        let path = try temporaryPath()
        mkfifo(path, 0o600)
        defer { unlink(path) }
        #expect(throws: SystemError("open", Errno(rawValue: ENXIO), on: path)) { _ = try LogFile(path: path) }
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        let log = try LogFile(path: path)
        for _ in 0..<2_000 where log.lost == 0 { log.write(LogLine(.info, String(repeating: "x", count: 200))) }
        #expect(log.lost == 1)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        #expect(Glibc.read(reader, &bytes, bytes.count) > 0)
        log.write(LogLine(.info, "later"))
        #expect(log.lost == 0)
    }
}
