// A command and its arguments, and the task that waits for its answer.

#if Valkey
    import PreforkSystem

    /// A command's words, one after the other in one array.
    struct Command: Sendable {
        private(set) var bytes: [UInt8] = []
        private(set) var lengths: [Int] = []

        init(_ words: String...) {
            for word in words { add(word) }
        }

        mutating func add(_ word: String) {
            let before = bytes.count
            bytes.append(contentsOf: word.utf8)
            lengths.append(bytes.count - before)
        }

        mutating func add(_ word: [UInt8]) {
            bytes.append(contentsOf: word)
            lengths.append(word.count)
        }

        mutating func add(_ number: Int64) {
            add(String(number))
        }

        func adding(contentsOf other: Command) -> Command {
            var longer = self
            longer.bytes += other.bytes
            longer.lengths += other.lengths
            return longer
        }
    }

    /// A command on its way, until its outcome is known. On its loop's thread only.
    final class PendingCommand: @unchecked Sendable {
        // Sendable: `command` never changes, and everything else is touched on the loop's thread only.
        let command: Command
        /// No answer after that is of use.
        var deadline = MonotonicInstant.distantFuture
        var sentAt = MonotonicInstant.distantFuture
        private var completion: ((Result<Reply, any Error>) -> Void)?
        /// Its task was cancelled, perhaps before the command reached the loop.
        private var isCancelled = false

        init(_ command: Command) {
            self.command = command
        }

        /// Whether no task waits for it any more. One that has been sent keeps its place: its answer will still come.
        var isFinished: Bool { completion == nil }

        /// - Returns: false if it was cancelled before. `completion` has then been called.
        func begin(_ completion: @escaping (Result<Reply, any Error>) -> Void) -> Bool {
            if isCancelled {
                completion(.failure(CancellationError()))
                return false
            }
            self.completion = completion
            return true
        }

        func cancel() {
            isCancelled = true
            finish(.failure(CancellationError()))
        }

        func finish(_ outcome: Result<Reply, any Error>) {
            guard let completion else { return }
            self.completion = nil
            completion(outcome)
        }
    }
#endif
