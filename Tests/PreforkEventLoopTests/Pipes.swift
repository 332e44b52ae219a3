// Pairs of streams for the tests, and the loop to use them on.

import Glibc
import PreforkEventLoop
import PreforkSystem

/// A pipe: our reader, and the raw writing end.
func pipeReader() throws -> (reader: ByteReader, raw: Int32) {
    let ends = try makePipe()
    return (try ByteReader(adopting: ends.reading), ends.writing)
}

/// A connected pair of Unix sockets: our connection, and the raw other end.
func socketPair() throws -> (connection: Connection, raw: Int32) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else { throw Failure(text: "socketpair") }
    return (try Connection(adopting: ends[0]), ends[1])
}

struct Failure: Error {
    let text: String
}

func put(_ text: String, to fd: Int32) {
    let bytes = Array(text.utf8)
    _ = write(fd, bytes, bytes.count)
}

func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
}

/// Runs a test's body on a loop of its own, on a thread of its own, as code in a worker runs.
func onOwnLoop(_ body: @escaping @Sendable () async throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        do {
            try startThread {
                do {
                    try EventLoop().run(body)
                    continuation.resume()
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } catch {
            continuation.resume(throwing: error)
        }
    }
}
