// Conversations over several workers, while their pool reloads or refuses an upgrade. `WebSocketWorkerTests` has the ends of
// the sockets of one worker.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct WebSocketPoolTests {
    @Test func whatOnePageSaysAllPagesHearBeforeAndAfterAReload() async throws {
        let server = try await PageServer()
        try await WebSocketFixture.onLoop {
            var pages: [WebSocketPeer] = []
            for _ in 0..<4 { pages.append(try await server.join()) }
            for number in pages.indices {
                try await server.chat([pages[number]] + pages[..<number] + pages[(number + 1)...], "message \(number)")
            }
            server.program.send(.hangUp)
            try await Self.eventually { server.program.errors.contains("generation 2 serves") && server.program.groupSize == 3 }
            // The pages are in the new workers now.
            try await server.chat(pages, "after the reload")
            try await server.chat([try await server.join()] + pages, "from a new page")
        }
        try await server.stop()
    }

    @Test func anUpgradeThatIsRefusedDisturbsNoConversation() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        try PageServer.copy(ChildProgram.path(of: "page-server"), to: path)
        let server = try await PageServer(path: path)
        try await WebSocketFixture.onLoop {
            let pages = [try await server.join(), try await server.join(), try await server.join()]
            try PageServer.copy("/bin/false", to: path)
            server.program.send(.user2)
            try await Self.eventually { server.program.errors.contains("upgrade refused, nothing has changed") }
            try await server.chat(pages, "still here")
        }
        try await server.stop()
    }

    /// As `eventually`, without holding up the loop on which the pages are.
    private static func eventually(_ condition: () -> Bool) async throws {
        let end = MonotonicInstant.now + .seconds(60)
        while !condition() {
            try #require(MonotonicInstant.now < end)
            try await EventLoop.sleep(for: .milliseconds(10))
        }
    }
}
