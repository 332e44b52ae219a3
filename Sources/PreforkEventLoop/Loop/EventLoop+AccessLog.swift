// A worker's part in reopening the access log.

import PreforkSystem

extension EventLoop {
    /// Uses the new file when the supervisor has reopened the access log. Does nothing in a process without one, or where a
    /// loop watches already.
    ///
    /// Without a descriptor for it, the worker serves all the same, and goes on in the file that it has.
    package func watchAccessLog() {
        guard let number = AccessLogNews.descriptorToWatch() else { return }
        var watch: Watch?
        let made = Watch(number) { [unowned self] _ in
            // Over when the program was upgraded under this worker: the next image has no way to it.
            if !AccessLogNews.take(), let over = watch {
                watch = nil
                remove(over)
            }
        }
        watch = made
        do throws(SystemError) {
            try add(made, for: .readable)
        } catch {
            StandardErrorLines.say("error", "the access log will not be reopened here: \(error)", by: "access log")
        }
    }
}
