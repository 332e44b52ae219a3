// What the service manager hears, and when.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct NotifyClientTests {
    @Test(arguments: [false, true]) func statesArriveAsOneMessage(abstract: Bool) throws {
        let manager = try ServiceManagerSocket(abstract: abstract)
        let notifier = try NotifyClient(socket: manager.name)
        #expect(try notifier.send([.ready, .status("8 workers"), .mainPID(42)]))
        #expect(manager.next() == "READY=1\nSTATUS=8 workers\nMAINPID=42")
        #expect(manager.next() == nil)
        #expect(fcntlFlags(notifier.descriptor) & FD_CLOEXEC != 0)
    }

    @Test func everyStateHasItsLine() {
        #expect(ServiceState.ready.line == "READY=1")
        #expect(
            ServiceState.reloading(at: MonotonicInstant(nanoseconds: 12_345_678)).line
                == "RELOADING=1\nMONOTONIC_USEC=12345")
        #expect(ServiceState.stopping.line == "STOPPING=1")
        #expect(ServiceState.watchdog.line == "WATCHDOG=1")
        #expect(ServiceState.mainPID(7).line == "MAINPID=7")
    }

    @Test func aTextCannotSmuggleAnotherAssignmentIn() {
        #expect(ServiceState.status("a\nREADY=1\r\nb\u{2028}c\0d").line == "STATUS=a READY=1 b c d")
    }

    @Test func aFullQueueLosesMessagesAndHoldsNobody() throws {
        let manager = try ServiceManagerSocket()
        let notifier = try NotifyClient(socket: manager.name)
        var sent = 0
        while try notifier.send([.watchdog]) {
            sent += 1
            try #require(sent < 1_000_000)
        }
        for _ in 0..<sent { #expect(manager.next() == "WATCHDOG=1") }
        #expect(try notifier.send([.ready]))
        #expect(manager.next() == "READY=1")
    }

    @Test func nobodyListeningIsAnErrorThatNamesTheSocket() throws {
        let path = try temporaryPath()
        let notifier = try NotifyClient(socket: path)
        #expect(throws: SystemError("sendto", .noEntry, on: "unix:\(path)")) { try notifier.send([.ready]) }
    }

    @Test(arguments: [
        ("", Errno.invalidArgument), ("relative/path", .familyNotSupported), ("vsock:2:1234", .familyNotSupported),
        ("/" + String(repeating: "x", count: 107), .nameTooLong),
    ])
    func badNamesAreErrors(name: String, errno: Errno) {
        #expect {
            _ = try NotifyClient(socket: name)
        } throws: { ($0 as? SystemError)?.errno == errno }
    }

    @Test func aChildIsSilentAndTheVariablesAreNotInherited() async throws {
        let manager = try ServiceManagerSocket()
        let program = try ChildProgram(
            "host-fixture", ["notify-from-child"],
            environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "3000000"])
        #expect(try await program.waitForExit() == 0)
        #expect(manager.next() == "READY=1\nSTATUS=one two\nMAINPID=\(program.pid)")
        #expect(manager.next() == nil)
        #expect(try await program.waitForLine("watchdog ") == "3.0 seconds")
        #expect(try await program.waitForLine("restored ") == "3000000")
    }

    private func fcntlFlags(_ number: Int32) -> Int32 { fcntl(number, F_GETFD) }
}

@Suite struct ServiceWatchdogTests {
    private let start = MonotonicInstant(nanoseconds: 0)

    private func made(_ microseconds: String?, pid: String? = nil, minimum: Int = 1) -> NotifyWatchdog? {
        var variables: [String: String] = [:]
        variables["WATCHDOG_USEC"] = microseconds
        variables["WATCHDOG_PID"] = pid
        return NotifyWatchdog(NotifyEnvironment(variables), pid: 7, minimumReady: minimum, now: start)
    }

    @Test func itIsFedAtHalfOfTheTimeAndNotBefore() throws {
        var watchdog = try #require(made("8000000", pid: "7"))
        // A loop that stood still does not make up for what it missed.
        let looks = [0, 3_999, 4_000, 60_000].map { watchdog.isDue(readyWorkers: 1, at: start + .milliseconds($0)) }
        #expect(looks == [true, false, true, true])
        #expect(watchdog.nextLook == start + .seconds(64))
    }

    @Test func withTooFewReadyWorkersItIsNotFedAndSoonLookedAtAgain() throws {
        var watchdog = try #require(made("8000000", minimum: 2))
        let looks = [(1, 0), (2, 999), (2, 1_000)].map {
            watchdog.isDue(readyWorkers: $0.0, at: start + .milliseconds($0.1))
        }
        #expect(looks == [false, false, true])
    }

    @Test func thereIsNoneWithoutATimeOrForAnotherProcess() {
        for text in [nil, "", "0", "-1", "x", "99999999999999999999", "1", "9999"] { #expect(made(text) == nil) }
        for text in ["0", "-1", "x", "1", "9999"] {
            let complaint = NotifyWatchdog.complaint(NotifyEnvironment(["WATCHDOG_USEC": text]))
            #expect(complaint?.hasPrefix("WATCHDOG_USEC=\(text) is no time that a watchdog can have") == true)
        }
        #expect(NotifyWatchdog.complaint(NotifyEnvironment([:])) == nil)
        #expect(made("10000") != nil)
        #expect(made("1000000", pid: "8") == nil)
        #expect(made("1000000", pid: "x") == nil)
    }
}
