// The path that a program was started by.

import Testing

@testable import PreforkSystem

@Suite struct ProgramStartTests {
    @Test(arguments: [
        ("/srv/current/bin/app", "/", "/srv/current/bin/app"), ("bin/app", "/srv/current", "/srv/current/bin/app"),
        ("./app", "/srv", "/srv/app"), ("app", "/", "/app"), ("../app", "/srv/x", "/srv/x/../app"),
    ])
    func aPathIsMadeAbsoluteWithItsLinks(path: String, directory: String, whole: String) {
        #expect(ProgramImage.absolutePath(path, in: directory) == whole)
    }

    @Test(arguments: [("", "/"), ("/dev/fd/7", "/"), ("/proc/self/exe", "/"), ("app", "")])
    func whatMeansNothingToTheNextImageIsNoPath(path: String, directory: String) {
        #expect(ProgramImage.absolutePath(path, in: directory) == nil)
    }

    @Test func theRunningProgramIsFound() throws {
        let path = try ProgramImage.startedBy()
        let running = try ProgramFile.running(executedBy: path)
        #expect(path.hasPrefix("/"))
        #expect(try ProgramFile(at: path).stamp == running.stamp)
        #expect(running.timestamp.hasSuffix("Z") && running.summary.hasPrefix(path))
    }
}
