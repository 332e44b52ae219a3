// Hummingbird's own server and PreforkHTTP, asked the same.

import Glibc
import Testing

@Suite("One router on Hummingbird's own server and on PreforkHTTP", .serialized, .timeLimit(.minutes(5)))
struct DifferentialTests {
    @Test("200 generated requests have the same responses, byte for byte", arguments: [19, 20, 21] as [UInt64])
    func same(seed: UInt64) async throws {
        let own = try await Twin("own")
        let ours = try await Twin("prefork")
        var generator = RequestGenerator(seed: seed)
        let requests = (0..<200).map { _ in generator.next() }
        let expected = try await own.answers(to: requests)
        let answers = try await ours.answers(to: requests)
        #expect(expected.count == 200 && answers.count == 200)
        for (request, (one, other)) in zip(requests, zip(expected, answers)) where one != other {
            Issue.record("seed \(seed)\n\(request)\n\n\(one)\n\nbut with PreforkHTTP\n\n\(other)")
        }
        // All of them at once: what is pipelined is answered in order.
        #expect(try await ours.answers(to: requests, pipelined: 8) == answers)
    }

    @Test("Each kind of request is among those that are compared")
    func covers() {
        var generator = RequestGenerator(seed: 19)
        let requests = (0..<200).map { _ in generator.next() }
        #expect(Set(requests.map(\.kind)).count == RequestGenerator.kinds.count)
        #expect(requests.contains { $0.text.contains("Transfer-Encoding: chunked") })
    }
}

/// One of both servers.
struct Twin {
    let program: ServerProgram
    private let port: UInt16

    init(_ name: String) async throws {
        // Without it, Foundation writes the keys of JSON, and Hummingbird the attributes of cookies, in another order
        // in each process.
        let environment = ["TWIN": name, "SWIFT_DETERMINISTIC_HASHING": "1"]
        program = try ServerProgram("twin-server", workers: 1, environment: environment)
        port = try await program.port()
    }

    /// Sends all requests on one connection.
    ///
    /// - Parameter pipelined: so many are sent before the first of them is answered.
    func answers(to requests: [GeneratedRequest], pipelined: Int = 1) async throws -> [RawAnswer] {
        let port = port
        return try await blocking {
            let connection = try RawConnection(port: port)
            var answers: [RawAnswer] = []
            for start in stride(from: 0, to: requests.count, by: pipelined) {
                let some = requests[start..<min(start + pipelined, requests.count)]
                try connection.send(some.flatMap { Array($0.text.utf8) })
                for request in some { answers.append(try connection.answer(toHead: request.isHead)) }
            }
            return answers
        }
    }
}
