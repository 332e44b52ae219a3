// The slow request of the contract, and its sign to the test.

import Glibc

/// A request that takes time: the test sends its signal when it is in hand.
public enum SlowRequest {
    public static let duration = Duration.milliseconds(500)
    public static let answer = "slow"

    /// Tells the test that a slow request has come.
    public static func begin() {
        tell("slow request in hand")
    }

    /// Writes a line for the test, from a worker.
    public static func tell(_ text: String) {
        let line = Array("\(text)\n".utf8)
        _ = write(STDOUT_FILENO, line, line.count)
    }
}

/// The port that the first argument names. Without one the system chooses.
public var portArgument: UInt16 {
    CommandLine.arguments.dropFirst().first.flatMap { UInt16($0) } ?? 0
}
