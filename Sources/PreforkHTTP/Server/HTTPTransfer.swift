// Bodies that move into the socket without passing this process.

package import PreforkSystem

/// Moves a body into the socket. Given to the closure of `HTTPResponse.Body.transfer`.
package struct HTTPTransfer: Sendable {
    /// Moves at most `rest` bytes by one system call, and returns how many it has moved, or nil if the socket takes none
    /// now.
    package typealias Step = (_ socket: Int32, _ rest: Int) throws(Failure) -> Int?
    package typealias Failure = SystemError

    let connection: HTTPConnection

    /// Calls `step` until `count` bytes are in the socket. The server waits for the client, keeps the deadline, and lets
    /// other connections have their turns.
    ///
    /// - Parameters:
    ///   - count: what is left of the response's length, or less.
    ///   - step: called again and again. After 0 the response is broken off.
    package func send(_ count: Int, _ step: Step) async throws {
        try await connection.transfer(count, step)
    }
}
