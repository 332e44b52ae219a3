// A worker and a managed process that have given up their rights attack their pool by everything they share with it.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// `hostile-fixture siege` judges: it starts the pool, asks for the status all the time, and looks for what is left.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: geteuid() == 0 && getpwnam("nobody") != nil, "workers must change to another user: run as root, with a user 'nobody'"))
struct HostileWorkerTests {
    /// Half a minute to be whole on a machine that builds meanwhile. Scripts/storm gives five seconds.
    ///
    /// The first 15 with the log in a file, the others with standard error, a pipe that all processes share.
    @Test func thirtySeedsDoNoHarmToTheSupervisorAndLeaveThePoolWhole() async throws {
        let siege = try ChildProgram("hostile-fixture", ["siege", "seeds=30", "each=15", "attack=300", "whole=30000", "verbose=1"])
        #expect(try await siege.waitForExit(within: .seconds(240)) == 0, "\(siege.output)\n\(siege.errors)")
        let lines = siege.output.split(separator: "\n")
        #expect(lines.contains("seeds 30"), "\(siege.output)\n\(siege.errors)")
        let faults = lines.filter { $0.contains("FAULT") || $0.hasPrefix("fault ") }
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))\n\(siege.errors)")
        #expect(figure("longest status ms", in: lines) < 5_000)
        #expect(figure("answered", in: lines) > 100, "\(siege.output)")
        #expect(figure("processes left", in: lines) == 0)
        #expect(figure("descriptors more", in: lines) <= 0)
    }

    private func figure(_ name: String, in lines: [Substring]) -> Double {
        lines.first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) } ?? .nan
    }
}
