// Detects systemd's journal, which records a time, a process ID and a priority for each line.

/// A stream of the journal (systemd.exec(5), JOURNAL_STREAM).
package enum JournalStream {
    package static let variable = "JOURNAL_STREAM"

    /// Whether a descriptor is the stream that the variable names by `st_dev:st_ino`. The variable alone says nothing:
    /// a process may have it from a parent and write elsewhere itself.
    package static func isStream(_ number: Int32) -> Bool {
        guard let value = CurrentProcess.environment(variable), let stream = FileIdentity(journalStream: value) else {
            return false
        }
        return FileIdentity(of: number) == stream
    }

    /// The prefix that gives a line its priority (sd-daemon(3)).
    ///
    /// - Parameter level: a name of `LogLine.Level`.
    package static func prefix(ofLevel level: String) -> String {
        switch level {
        case "error": "<3>"
        case "warning": "<4>"
        case "notice": "<5>"
        default: "<6>"
        }
    }
}
