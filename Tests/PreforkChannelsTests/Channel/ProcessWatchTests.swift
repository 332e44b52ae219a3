// The end of another process, heard by a loop that is not its parent's.

import PreforkChannels
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ProcessWatchTests {
    @Test func aProcessThatIsGoneHasNoIdentity() {
        #expect(ProcessIdentity(of: 1 << 22 | 1) == nil)
        #expect(!ProcessIdentity(pid: CurrentProcess.pid, startTime: 1).isAlive)
        #expect(ProcessIdentity.current.isAlive)
    }
}
