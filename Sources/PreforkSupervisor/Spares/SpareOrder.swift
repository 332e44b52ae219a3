// What a spare is told when a slot gets it, and the pipe that brings it.

import PreforkSystem

/// The slot of a spare, as one write of its supervisor: three words in the machine's byte order.
struct SpareOrder: Equatable {
    let taskID: Int
    let generation: Int
    /// Of the worker that it becomes.
    let spawn: UInt64

    static let byteCount = 24

    init(taskID: Int, generation: Int, spawn: UInt64) {
        self.taskID = taskID
        self.generation = generation
        self.spawn = spawn
    }

    /// - Returns: nil for bytes that no supervisor writes. Another process of the workers' user can write them, through
    ///   /proc/PID/fd.
    init?(_ words: [UInt64]) {
        guard words.count == 3, words[0] < UInt64(WorkerCount.maximum), words[1] < UInt64(Int.max) else { return nil }
        self.init(taskID: Int(words[0]), generation: Int(words[1]), spawn: words[2])
    }

    var words: [UInt64] { [UInt64(taskID), UInt64(generation), spawn] }
}

/// A spare's pipe, made for its fork alone. The writing end is the supervisor's and does not block. Its end, by a
/// `close` or by the supervisor's death, tells the spare to go.
struct SparePipe {
    let reading: Int32
    let writing: Int32

    init() throws(SystemError) { (reading, writing) = try makePipe() }

    /// In the spare: waits for a slot. All signals are blocked meanwhile.
    ///
    /// - Parameter lifeline: its end says that the supervisor is gone, also where another process has opened this pipe
    ///   for writing.
    /// - Returns: nil when it must end.
    static func wait(at reading: Int32, lifeline: Int32) -> SpareOrder? {
        var words = [UInt64](repeating: 0, count: SpareOrder.byteCount / 8)
        while (try? Polling.waitUntilReadable([reading, lifeline], until: nil)) != nil {
            let outcome = words.withUnsafeMutableBytes { try? readBytes(from: reading, into: $0) }
            switch outcome {
            // One write of less than PIPE_BUF bytes is read whole (pipe(7)).
            case .bytes(SpareOrder.byteCount): return SpareOrder(words)
            case .wouldBlock: if isWriterGone(lifeline) { return nil }
            case .bytes, .end, nil: return nil
            }
        }
        return nil
    }

    /// In the supervisor: one write.
    ///
    /// - Returns: whether the spare can read it.
    static func send(_ order: SpareOrder, to writing: Int32) -> Bool {
        let count = order.words.withUnsafeBytes { try? writeBytes(to: writing, $0) }
        return count == SpareOrder.byteCount
    }
}
