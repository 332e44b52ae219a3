// The identity of a program file: path, build and time.

import CPrefork
import Glibc

/// A program as it was found in the file system, or as it runs.
package struct ProgramFile: Hashable, Sendable {
    /// The path that it is, or was, executed by.
    package var path: String
    /// The path that it resolves to, without symbolic links.
    package var file: String
    /// In hexadecimal digits. Empty if the linker wrote no build ID (`-Xlinker --build-id`).
    package var buildID: String
    /// When the file was last written: milliseconds since 1970.
    package var time: Int64
    /// Device, inode, size and time: another one for each file and each time it is written.
    package var stamp: String

    package init(path: String, file: String, buildID: String, time: Int64, stamp: String) {
        self.path = path
        self.file = file
        self.buildID = buildID
        self.time = time
        self.stamp = stamp
    }

    /// What is at a path now.
    package init(at path: String) throws(SystemError) {
        guard let resolved = realpath(path, nil) else { throw SystemError("realpath", .current, on: path) }
        defer { free(resolved) }
        try self.init(path: path, file: String(cString: resolved), reading: path)
    }

    /// The program that this process runs.
    ///
    /// - Parameter path: that it was executed by.
    package static func running(executedBy path: String) throws(SystemError) -> ProgramFile {
        try ProgramFile(path: path, file: ProgramImage.path(), reading: "/proc/self/exe")
    }

    private init(path: String, file: String, reading source: String) throws(SystemError) {
        var status = stat()
        try systemCall("stat", on: path) { stat(source, &status) }
        self.path = path
        self.file = file
        buildID = CodePlace.buildID(ofFile: source).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        let modified = cprefork_modified_nanoseconds(&status)
        let (seconds, nanoseconds) = modified.quotientAndRemainder(dividingBy: 1_000_000_000)
        time = modified / 1_000_000
        stamp = "\(FileStatus(status).identity.text):\(status.st_size):\(seconds).\(nanoseconds)"
    }

    /// The same build, wherever it lies. If either has no build ID, the same file, not written since.
    package func isSameProgram(as other: ProgramFile) -> Bool {
        if buildID.isEmpty || other.buildID.isEmpty { return stamp == other.stamp }
        return buildID == other.buildID
    }

    /// The time as in the log.
    package var timestamp: String { WallClock.timestamp(of: time) }

    /// For people: `/srv/app/current/bin/app (build 0123456789ab, 2026-11-30T10:00:00.000Z)`.
    package var summary: String {
        let build = buildID.isEmpty ? "no build ID" : "build \(buildID.prefix(12))"
        return "\(path)\(file == path ? "" : " -> \(file)") (\(build), \(timestamp))"
    }
}
