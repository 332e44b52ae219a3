// Programs that the workers' user could have written.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite struct ProgramTrustTests {
    @Test func theFileAndEachDirectoryOnTheWayCount() throws {
        let directory = try temporaryPath()
        mkdir(directory, 0o755)
        let program = "\(directory)/server"
        close(open(program, O_CREAT | O_WRONLY, 0o755))
        defer {
            unlink(program)
            rmdir(directory)
        }
        let stranger: UInt32 = 54_321
        func part(_ groups: Set<UInt32> = []) -> String? {
            ProgramImage.writablePart(of: program, user: stranger, groups: groups)
        }
        #expect(part() == nil, "/tmp has the sticky bit")
        chmod(program, 0o775)
        #expect(part() == nil && part([getgid()]) == program)
        chmod(program, 0o757)
        #expect(part() == program)
        chmod(program, 0o755)
        chmod(directory, 0o777)
        #expect(part() == directory)
        #expect(ProgramImage.writablePart(of: program, user: geteuid(), groups: []) == program)
    }

    /// A program that is started by `releases/current` is whatever the link leads to.
    @Test func aDirectoryWithALinkOnTheWayCounts() throws {
        let directory = try temporaryPath()
        let place = "\(directory)/place"
        let link = "\(place)/current"
        mkdir(directory, 0o755)
        mkdir(place, 0o755)
        symlink("../program", link)
        let program = "\(directory)/program"
        close(open(program, O_CREAT | O_WRONLY, 0o755))
        defer {
            unlink(link)
            unlink(program)
            rmdir(place)
            rmdir(directory)
        }
        func part() -> String? { ProgramImage.writablePart(of: link, user: 54_321, groups: []) }
        #expect(part() == nil)
        chmod(place, 0o777)
        #expect(part() == place, "another link can be put there")
        chmod(place, 0o755)
        chmod(program, 0o757)
        #expect(part() == program)
        unlink(link)
        symlink("current", link)
        #expect(part() == nil, "a circle leads nowhere")
    }

    @Test func anAccessListCountsAsLeaveToWrite() throws {
        let program = try temporaryPath()
        close(open(program, O_CREAT | O_WRONLY, 0o755))
        defer { unlink(program) }
        #expect(ProgramImage.writablePart(of: program, user: 54_321, groups: []) == nil)
        // linux/posix_acl_xattr.h: version 2, then tag, permissions, identity of owner, user 54321, group, mask,
        // others.
        let nobody = UInt32.max
        let entries: [(UInt16, UInt16, UInt32)] = [
            (1, 7, nobody), (2, 7, 54_321), (4, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody),
        ]
        var list: [UInt8] = [2, 0, 0, 0]
        for (tag, permissions, identity) in entries {
            withUnsafeBytes(of: tag.littleEndian) { list += $0 }
            withUnsafeBytes(of: permissions.littleEndian) { list += $0 }
            withUnsafeBytes(of: identity.littleEndian) { list += $0 }
        }
        typealias Text = UnsafePointer<CChar>
        typealias Call = @convention(c) (Text, Text, UnsafeRawPointer, Int, Int32) -> Int32
        let symbol = try #require(dlsym(nil, "setxattr"))
        let call = unsafeBitCast(symbol, to: Call.self)
        // A file system without such lists has nothing to show.
        guard call(program, "system.posix_acl_access", list, list.count, 0) == 0 else { return }
        let part = ProgramImage.writablePart(of: program, user: 54_321, groups: [])
        #expect(part?.hasPrefix(program) == true && part?.contains("access list") == true)
    }
}
