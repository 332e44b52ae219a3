// When children are given up that do not end, or whose ends do not show, and which signals are passed on.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite struct UnreapedChildrenTests {
    private let start = MonotonicInstant.now

    @Test func oneThatIsOverIsGivenUpAfterAHundredMilliseconds() {
        var late = UnreapedChildren()
        func isGivenUp(after milliseconds: Int) -> Bool {
            late.isToBeGivenUp(1, isOver: true, at: start + .milliseconds(milliseconds))
        }
        #expect(late.nextLook == nil)
        #expect(!isGivenUp(after: 0))
        #expect(late.nextLook == start + .milliseconds(10))
        #expect(late.due(at: start + .milliseconds(9)).isEmpty)
        #expect(late.due(at: start + .milliseconds(10)) == [1])
        #expect(!isGivenUp(after: 10))
        #expect(late.nextLook == start + .milliseconds(30))
        #expect(!isGivenUp(after: 99))
        #expect(isGivenUp(after: 100))
        late.remove(1)
        #expect(late.nextLook == nil)
    }

    /// The word of a pidfd that is closed, or SIGCHLD, which names no child.
    @Test func oneThatLivesIsLeftAlone() {
        var late = UnreapedChildren()
        let isGivenUp = late.isToBeGivenUp(1, isOver: false, at: start)
        #expect(!isGivenUp)
        #expect(late.nextLook == nil)
    }

    @Test func oneThatDoesNotEndAfterTheKillIsGivenUpAfterFiveSeconds() {
        var late = UnreapedChildren()
        late.wasKilled(7, at: start)
        late.wasKilled(7, at: start + .seconds(4))
        #expect(late.nextLook == start + .seconds(5))
        let early = late.isToBeGivenUp(7, isOver: false, at: start + .seconds(4))
        #expect(!early)
        #expect(late.due(at: start + .seconds(5)) == [7])
        let inTime = late.isToBeGivenUp(7, isOver: false, at: start + .seconds(5))
        #expect(inTime)
    }

    /// That one which is still held stays in the list, processes show in EndsTests.
    @Test func oneGivenUpIsCollectedLaterAndItsLineIsFreeThen() async throws {
        var late = UnreapedChildren()
        var child: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
        let code = posix_spawn(&child, "/bin/true", nil, nil, &arguments, nil)
        free(arguments[0])
        try #require(code == 0)
        late.keep(ChildProcess(pid: child), line: 3, at: start)
        #expect(late.processes == [child])
        #expect(late.nextLook == start + .milliseconds(10))
        var lines = late.collect(at: start + .milliseconds(9))
        #expect(lines.isEmpty)
        var now = start
        try await eventually("its line is free") {
            now = now + .seconds(2)
            lines += late.collect(at: now)
            return !lines.isEmpty
        }
        #expect(lines == [3])
        #expect(late.processes.isEmpty && late.nextLook == nil)
    }

    @Test func signalsOfOthersAreTold() {
        let root = IdentityTriple(0, 0, 0)
        func signal(pid: Int32 = 9, user: UInt32, isByKill: Bool = true) -> ReceivedSignal {
            ReceivedSignal(signal: .resume, sender: pid, user: user, isByKill: isByKill)
        }
        #expect(signal(user: 0).isFrom(root))
        #expect(!signal(user: 65_534).isFrom(root))
        #expect(signal(user: 1000).isFrom(IdentityTriple(1000, 1000, 1000)))
        // From outside of the container, whose root has no number inside.
        #expect(signal(pid: 0, user: 65_534).isFrom(root))
        // sigqueue(3): the sender says who it is.
        #expect(!signal(user: 0, isByKill: false).isFrom(root))
    }
}
