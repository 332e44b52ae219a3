// What the processes of the service have done, one line for each step.

import Glibc
import PreforkSystem

/// A file to which every process appends. Each line is one write(2) with O_APPEND, so that lines stay whole and in order.
final class Ledger: Sendable {
    private let file: Int32

    init(_ path: String) throws {
        file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        if file < 0 { throw SystemError("open", .current, on: path) }
    }

    /// `WORD PID TEXT`.
    func note(_ word: String, _ text: some CustomStringConvertible) {
        var line = "\(word) \(getpid()) \(text)\n"
        line.withUTF8 { _ = write(file, $0.baseAddress, $0.count) }
    }
}
