// A bound on how long something may take.

/// What was bounded by `withTimeout` took too long.
public struct TimeoutError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bound that was reached.
    public let timeout: Duration

    public var description: String { "not done within \(timeout)" }
}

/// Runs `body` for at most `timeout`.
///
/// When the time is over `body` is cancelled and awaited, then `TimeoutError` is thrown. A body that ends successfully
/// in spite of it wins. Cancelling the caller cancels `body`.
///
/// - Parameter timeout: zero or less throws without calling `body`.
public func withTimeout<Success: Sendable>(
    _ timeout: Duration, _ body: @escaping @Sendable () async throws -> Success
) async throws -> Success {
    if timeout <= .zero { throw TimeoutError(timeout: timeout) }
    return try await withThrowingTaskGroup(of: Success?.self) { group in
        let executor = EventLoop.current?.preference
        group.addTask(executorPreference: executor) { try await body() }
        group.addTask(executorPreference: executor) {
            // Cancelled when the body is done first: then there is no timeout to report.
            try? await EventLoop.sleep(for: timeout)
            return nil
        }
        var isLate = false
        do {
            while let result = try await group.next() {
                group.cancelAll()
                if let success = result { return success }
                isLate = true
            }
        } catch {
            // What a late body throws is what cancellation made of it.
            if !isLate { throw error }
        }
        try Task.checkCancellation()
        throw TimeoutError(timeout: timeout)
    }
}
