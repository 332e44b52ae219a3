// A supervisor that is none, and clients that take their time.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

/// Answers what a test laid out for it, and notes what it was asked for.
final class FakeSupervisor: ControlDelegate {
    var pool: PoolStatus
    var counted = PoolCounters()
    var reports: [ExitReport] = []
    var managed: [TargetStatus] = []
    var shared = SharedObjects()
    var requestList = InFlightRequests()
    var outcome = ControlOutcome.done("done")
    var asked: [ControlCommand] = []
    var completions: [(ControlOutcome) -> Void] = []
    /// What was asked for is over before it is known to have begun.
    var completesAtOnce = false

    init(workers: Int = 2) {
        let workers = (0..<workers).map { WorkerStatus(slot: $0, pid: CurrentProcess.pid, state: .ready, requests: 7) }
        pool = PoolStatus(supervisor: 1, workers: workers, target: workers.count)
    }

    func status() -> PoolStatus { pool }
    func managedProcesses() -> [TargetStatus] { managed }
    func sharedObjects() -> SharedObjects { shared }
    func counters() -> PoolCounters { counted }
    func crashes() -> [ExitReport] { reports }
    func listeners() -> [ListenerStatus] { [ListenerStatus(address: "127.0.0.1:80", waiting: 3, limit: 1024)] }
    func quarantined() -> [QuarantineStatus] { [] }
    func requests() -> InFlightRequests { requestList }
    func settings() -> [(name: String, value: String)] { [("workers", "2")] }

    func perform(_ command: ControlCommand, completion: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        asked.append(command)
        if let completion { completesAtOnce ? completion(outcome) : completions.append(completion) }
        return outcome
    }
}

/// One object of each kind.
var madeUpObjects: SharedObjects {
    var objects = SharedObjects()
    var store = SharedObjects.Store(name: "sessions")
    (store.entries, store.entryLimit, store.evictions) = (3, 10, 7)
    objects.stores = [store]
    var queue = SharedObjects.Queue(name: "jobs")
    (queue.ready, queue.deadLetters, queue.sent) = (4, 2, 11)
    objects.queues = [queue]
    var channel = SharedObjects.Channel(name: "a\"b")
    channel.ends = [
        .init(name: "creator", pid: 7, generation: 1, isClosed: false, sent: 9, waiting: 1, waitingBytes: 32),
        .init(name: "peer", pid: nil, generation: 0, isClosed: false, sent: 0, waiting: 0, waitingBytes: 0),
    ]
    objects.channels = [channel]
    return objects
}

/// A non-blocking client: what comes is looked for between the server's turns.
final class TurnClient {
    let socket: Descriptor
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false

    init(_ address: SocketAddress) throws {
        socket = Descriptor(owning: try Socket.open(for: address))
        do {
            try Socket.connect(socket.number, to: address)
        } catch where error.errno == .inProgress {}
    }

    /// As much as the socket takes now.
    @discardableResult
    func send(_ text: String) throws -> Int {
        try send(Array(text.utf8))
    }

    @discardableResult
    func send(_ bytes: [UInt8]) throws -> Int {
        let taken = bytes.withUnsafeBytes { bytes in
            Result { () throws(SystemError) in try sendBytes(to: socket.number, bytes) }
        }
        return try taken.get() ?? 0
    }

    func finish() throws {
        try Socket.shutDown(socket.number, .writing)
    }

    func receive() {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while !hasEnded {
            let number = socket.number
            let outcome = chunk.withUnsafeMutableBytes { bytes in
                Result { () throws(SystemError) in try readBytes(from: number, into: bytes) }
            }
            switch outcome {
            case .success(.bytes(let count)): received += chunk[..<count]
            case .success(.wouldBlock): return
            case .success(.end), .failure: hasEnded = true
            }
        }
    }

    /// The next line that came, taken.
    func line() throws -> JSONValue? {
        guard let end = received.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = Array(received[..<end])
        received.removeSubrange(...end)
        return try JSONParser.parse(line, sizeLimit: 1 << 24)
    }

    var text: String { String(decoding: received, as: UTF8.self) }
}

/// A control server on a socket of its own.
struct ControlBench {
    let path: String
    let supervisor: FakeSupervisor
    let server: ControlServer

    init(workers: Int = 2, _ change: (inout ControlLimits) -> Void = { _ in }) throws {
        path = try temporaryPath()
        supervisor = FakeSupervisor(workers: workers)
        var limits = ControlLimits()
        change(&limits)
        server = try ControlServer(ControlServer.bind(path), delegate: supervisor, limits: limits)
    }

    func client() throws -> TurnClient {
        try TurnClient(.unix(path: path))
    }

    /// Turns until the client has a line.
    func answer(_ client: TurnClient) async throws -> JSONValue {
        var line: JSONValue?
        try await eventually("an answer") {
            server.turn()
            client.receive()
            line = try client.line()
            return line != nil
        }
        return try #require(line)
    }

    func ask(_ request: String) async throws -> JSONValue {
        let client = try client()
        try client.send(request + "\n")
        return try await answer(client)
    }

    func turnUntilClosed(_ client: TurnClient) async throws {
        try await eventually("the server closes") {
            server.turn()
            client.receive()
            return client.hasEnded
        }
    }
}

/// The permission bits of a path.
func permissions(_ path: String) -> UInt32 {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o777 : 0
}
