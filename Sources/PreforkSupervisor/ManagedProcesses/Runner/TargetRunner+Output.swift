// The output of managed processes.

import PreforkSystem

extension TargetRunner {
    /// Where the output of the next managed process goes. Only a loop that is sure to turn may capture it: a pool
    /// supervisor's loop, or `run`. In a program that starts processes and then does something else, the processes
    /// would wait for room.
    ///
    /// - Returns: nil when nothing is captured.
    func capturedOutput() -> OutputCollector? {
        guard host != nil || signals != nil else { return nil }
        let mode = host?.capture ?? ownCapture
        if mode == .off { return nil }
        if let output { return output }
        // Without a descriptor for it the process says where it always did what it has to say.
        guard let new = try? OutputCollector(mode, at: .now, say: { [logger] in logger.say($0, by: $1) }),
            (try? epoll.add(new.epollNumber, .readable, word: Source.output)) != nil
        else { return nil }
        output = new
        return new
    }
}
