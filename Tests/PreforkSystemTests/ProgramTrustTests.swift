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
}
