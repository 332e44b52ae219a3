// Socket activation: what LISTEN_FDS may say, and what becomes of the sockets.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct InheritedListenerTests {
    private func parse(
        _ fds: String?, pid: String? = "7", names: String? = nil
    ) throws(InheritedListenerError) -> [InheritedDescriptor] {
        var environment: [String: String] = [:]
        environment["LISTEN_FDS"] = fds
        environment["LISTEN_PID"] = pid
        environment["LISTEN_FDNAMES"] = names
        return try InheritedDescriptors.parse(environment, pid: 7)
    }

    @Test func descriptorsBeginAtThreeAndNamesAreTheirs() throws {
        #expect(try parse("1") == [InheritedDescriptor(number: 3, name: "unknown")])
        #expect(
            try parse("3", names: "app.socket::admin") == [
                InheritedDescriptor(number: 3, name: "app.socket"), InheritedDescriptor(number: 4, name: ""),
                InheritedDescriptor(number: 5, name: "admin"),
            ])
    }

    @Test func nothingWasPassedToThisProcessIsNoError() throws {
        #expect(try parse(nil).isEmpty)
        #expect(try parse("2", pid: nil).isEmpty)
        #expect(try parse("2", pid: "8").isEmpty)
        #expect(try parse("garbage", pid: "8").isEmpty)
    }

    @Test func socketsForAnotherProcessAreToldOf() {
        func warning(_ environment: [String: String]) -> String? { InheritedDescriptors.warning(environment, pid: 7) }
        #expect(warning(["LISTEN_FDS": "1", "LISTEN_PID": "1"])?.contains("LISTEN_PID is 1 and this is process 7") == true)
        #expect(warning(["LISTEN_FDS": "1", "LISTEN_PID": "7"]) == nil)
        #expect(warning(["LISTEN_PID": "1"]) == nil)
        #expect(warning(["LISTEN_FDS": "1"]) == nil)
    }

    @Test(arguments: ["", "0", "-1", "1x", " 1", "99999999999999999999", "2147483647", "65537", "\u{0661}"])
    func aBadNumberIsAnErrorWithItsValue(text: String) {
        #expect(throws: InheritedListenerError(.badVariable(name: "LISTEN_FDS", value: text))) { try parse(text) }
    }

    @Test(arguments: ["", "0", "-7", "x", "7 "]) func aBadProcessIDIsAnError(text: String) {
        #expect(throws: InheritedListenerError(.badVariable(name: "LISTEN_PID", value: text))) {
            try parse("1", pid: text)
        }
    }

    @Test func namesOfAnotherNumberAreAnError() {
        #expect(throws: InheritedListenerError(.namesDoNotMatch(names: 1, descriptors: 2))) {
            try parse("2", names: "a")
        }
        #expect(throws: InheritedListenerError(.namesDoNotMatch(names: 3, descriptors: 2))) {
            try parse("2", names: "a:b:")
        }
        #expect(
            InheritedListenerError(.namesDoNotMatch(names: 3, descriptors: 2)).description
                == "LISTEN_FDNAMES has 3 names for the 2 descriptors of LISTEN_FDS")
    }

    @Test func socketsAreFoundByNameHandedOutOnceAndCloseOnExec() async throws {
        let program = try ChildProgram("host-fixture", ["activate", "app:admin", "2"])
        #expect(try await program.waitForExit() == 0)
        let bound = try await program.waitForLine("bound ").split(separator: " ")
        #expect(try await program.waitForLine("admin ") == "[\"4 \(bound[1])\"]")
        #expect(try await program.waitForLine("all ") == "[\"3 \(bound[0])\"]")
        #expect(try await program.waitForLine("flags ") == "cloexec cloexec open")
        #expect(try await program.waitForLine("left ") == "[]")
    }

    @Test func aDatagramSocketIsRefusedByNumberAndNameAndClosesNothing() async throws {
        let program = try ChildProgram("host-fixture", ["activate", "app:admin:dns", "3"])
        #expect(try await program.waitForExit() == 0)
        #expect(
            try await program.waitForLine("refused: ")
                == "descriptor 5 (dns) of LISTEN_FDS is not a listening stream socket")
        #expect(try await program.waitForLine("flags ") == "cloexec cloexec cloexec")
    }

    /// After an upgrade in place there is no process left that could refuse it: the supervisor would end.
    @Test func aHandedOverSocketThatAWorkerHasConnectedIsTaken() throws {
        let other = try Listener(.tcp("127.0.0.1", 0))
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let number = dup(listener.descriptor)
        listener.close()
        shutdown(number, Int32(SHUT_RDWR))
        try? Socket.connect(number, to: other.address)
        #expect(throws: InheritedListenerError(.notListening(descriptor: number, name: "app"))) {
            try Listener.checkListens(InheritedDescriptor(number: number, name: "app"))
        }
        let handedOver = InheritedDescriptor(number: number, name: "app", left: "")
        try Listener.checkListens(handedOver)
        try Listener(handedOver).close()
        other.close()
    }

    /// Or no start of the service would succeed until its socket unit is started again.
    @Test func aManagersSocketThatAWorkerHasShutDownListensAgain() throws {
        var listener = try Listener(.tcp("127.0.0.1", 0))
        let port = try #require(listener.address.port)
        listener.close()
        // Explicit, and so not given back by shutdown(2).
        listener = try Listener(.tcp("127.0.0.1", port))
        let socket = listener.descriptor
        shutdown(socket, Int32(SHUT_RDWR))
        #expect(try Socket.option(socket, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN") == 0)
        try Listener.checkListens(InheritedDescriptor(number: socket, name: "app"))
        #expect(try Socket.option(socket, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN") == 1)
        listener.close()
    }

    @Test func aDescriptorThatIsNotOpenIsRefusedByNumber() async throws {
        let program = try ChildProgram("host-fixture", ["activate", "", "40"])
        #expect(try await program.waitForExit() == 0)
        #expect(try await program.waitForLine("refused: ").hasSuffix("(unknown) of LISTEN_FDS is not open"))
    }

    @Test func socketsForAnotherProcessAreLeftAlone() async throws {
        let program = try ChildProgram("host-fixture", ["activate", "app:admin", "2", "1"])
        #expect(try await program.waitForExit() == 0)
        #expect(try await program.waitForLine("all ") == "[]")
        #expect(try await program.waitForLine("flags ") == "open open open")
    }
}
