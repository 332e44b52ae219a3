// Crashes of workers in real processes: what they cost, and what is known of them.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct CrashTests {
    private func answer(of port: UInt16) throws -> String {
        let address = SocketAddress.ipv4(0x7F00_0001, port: port)
        let socket = Descriptor(owning: try Socket.open(for: address))
        do throws(SystemError) {
            try Socket.connect(socket.number, to: address)
        } catch {
            guard error.errno == .inProgress else { throw error }
            try Polling.waitUntilWritable(socket.number)
        }
        _ = try Array("hello\n".utf8).withUnsafeBytes { try sendBytes(to: socket.number, $0) }
        var bytes = [UInt8](repeating: 0, count: 100)
        guard try Polling.waitUntilReadable([socket.number], until: .now + .seconds(5)),
            case .bytes(let count) = try bytes.withUnsafeMutableBytes({ try readBytes(from: socket.number, into: $0) })
        else { return "" }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private func port(of program: ChildProgram) async throws -> UInt16 {
        try #require(UInt16(try await program.waitForLine("port ")))
    }

    @Test func `Waiting requests that crash their workers do not end the service`() async throws {
        let program = try ChildProgram("fork-fixture", ["poison", "workers=2", "waiting=150"])
        let port = try await port(of: program)
        // As soon as the poisoned ones are through, and not before.
        try await eventually("an answer\n\(program.errors)") { (try? self.answer(of: port))?.hasPrefix("ok") == true }
        #expect(program.errors.contains("with a request in hand"))
        #expect(!program.errors.contains("before it was ready"))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output.contains("outcome stopped"))
    }

    @Test(arguments: [["limit=1"], ["limit=1", "form=tornado"]])
    func `Where somebody has set a limit they count`(_ arguments: [String]) async throws {
        let program = try ChildProgram("fork-fixture", ["poison", "workers=1", "waiting=150"] + arguments)
        #expect(try await program.waitForExit() == 70, "\(program.errors)")
        #expect(program.errors.contains("1 of 1") && program.errors.contains("too many restarts"))
    }

    @Test func `What a worker has printed arrives, line by line, whatever its end is`() async throws {
        let program = try ChildProgram("fork-fixture", ["prints", "800", "2"])
        _ = try await program.waitForExit()
        let lines = program.output.split(separator: "\n")
        for worker in 0..<2 {
            let own = lines.filter { $0.hasPrefix("worker \(worker) ") }
            guard !own.isEmpty else { continue }
            // The pool ends with its first worker. The other one may be stopped before it has printed all.
            for (number, line) in own.enumerated() {
                let whole = "worker \(worker) line \(number) \(String(repeating: "x", count: number % 300)) end"
                try #require(line == whole, "line \(number) of worker \(worker)")
            }
        }
        #expect(lines.contains { $0.contains(" line 799 ") })
        #expect(lines.allSatisfy { $0.hasPrefix("worker ") && $0.hasSuffix(" end") })
    }
}
