// WebSockets that are open while their pool reloads, upgrades, crashes or stops.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct WebSocketPoolTests {
    @Test func whatOnePageSaysAllPagesHearAndAReloadClosesWith1001() async throws {
        let server = try await PageServer()
        try await WebSocketFixture.onLoop {
            var pages: [WebSocketPeer] = []
            for _ in 0..<4 { pages.append(try await server.join()) }
            for number in pages.indices {
                try await server.chat([pages[number]] + pages[..<number] + pages[(number + 1)...], "message \(number)")
            }
            server.program.send(.hangUp)
            try await Self.expectGoingAway(pages)
            try await server.chat([try await server.join(), try await server.join()], "after the reload")
        }
        try await server.stop()
    }

    @Test func anUpgradeClosesWith1001AndTheNewProgramServesThoseThatComeBack() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        try PageServer.copy(ChildProgram.path(of: "page-server"), to: path)
        let server = try await PageServer(path: path)
        try await WebSocketFixture.onLoop {
            let pages = [try await server.join(), try await server.join(), try await server.join()]
            try PageServer.copy(ChildProgram.path(of: "page-server"), to: path)
            server.program.send(.user2)
            try await Self.expectGoingAway(pages)
            try await server.chat([try await server.join(), try await server.join()], "after the upgrade")
        }
        #expect(server.program.errors.contains("took over 2 workers of the previous program"))
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

    /// The end of the connection is what a page sees, at once, and the others' conversation goes on.
    @Test func aCrashEndsTheConversationsOfItsWorkerAlone() async throws {
        let server = try await PageServer()
        try await WebSocketFixture.onLoop {
            // Until both workers have pages: one could have taken all.
            var pages: [Int: [WebSocketPeer]] = [:]
            while pages.count < 2 {
                let page = try await server.join()
                let others = pages.values.flatMap { $0 }
                pages[try await server.chat([page] + others, "hello"), default: []].append(page)
                try #require(others.count < 200)
            }
            let victim = try #require(server.program.children.first)
            kill(victim, SIGKILL)
            try await Self.eventually { !server.program.children.contains(victim) && server.program.children.count == 2 }
            var ended: Set<Int> = []
            for (task, peers) in pages {
                // A send may succeed before the reset has been seen: the answer decides.
                try? await peers[0].send("who is here?")
                if case .message? = try? await peers[0].nextButPings() {
                    for peer in peers.dropFirst() { #expect(try await peer.nextButPings() != nil) }
                    try await server.chat(peers, "we are")
                } else {
                    ended.insert(task)
                    for peer in peers.dropFirst() { #expect((try? await peer.nextButPings()) == nil) }
                }
            }
            #expect(ended.count == 1)
            try await server.chat([try await server.join()] + pages.filter { !ended.contains($0.key) }.flatMap(\.value), "again")
        }
        try await server.stop()
    }

    /// A page that never answers the close frame has the time for closing, and no more.
    @Test func aStopClosesWith1001AndWaitsForNoSilentPage() async throws {
        let server = try await PageServer()
        try await WebSocketFixture.onLoop {
            let (polite, silent) = (try await server.join(), try await server.join())
            server.program.send(.terminate)
            #expect(try await polite.nextButPings() == .close(.goingAway, reason: ""))
            try await polite.close(.goingAway)
            #expect(try await polite.nextButPings() == nil)
            #expect(try await silent.nextButPings() == .close(.goingAway, reason: ""))
            #expect((try? await silent.nextButPings()) == nil)
        }
        #expect(try await server.program.waitForExit() == 0, "\(server.program.errors)")
        #expect(server.program.groupSize == 0)
    }

    private static func expectGoingAway(_ pages: [WebSocketPeer]) async throws {
        for page in pages {
            #expect(try await page.nextButPings() == .close(.goingAway, reason: ""))
            page.connection.close()
        }
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
