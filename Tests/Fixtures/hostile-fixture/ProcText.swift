// The kernel's short texts about processes.

import Glibc

enum ProcText {
    /// The first 512 bytes of a file of /proc as one line, or "?".
    static func read(_ path: String) -> String {
        var bytes = [UInt8](repeating: 0, count: 512)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "?" }
        defer { close(file) }
        let count = Glibc.read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).filter { !$0.isNewline }
    }
}
