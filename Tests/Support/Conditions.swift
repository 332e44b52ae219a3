// Waiting for what must become true.

import Glibc
import PreforkSystem
import Testing

/// A condition did not become true in time.
public struct NotInTime: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) {
        self.description = description
    }
}

/// Waits until `condition` holds, asking every two milliseconds.
public func eventually(
    within limit: Duration = .seconds(30), _ what: @autoclosure () -> String, _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        if ContinuousClock.now > end { throw NotInTime(description: "not within \(limit): \(what())") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// An empty temporary file's path.
public func temporaryFile() throws -> String {
    var template = Array("/tmp/prefork-test-XXXXXX".utf8CString)
    let fd = mkstemp(&template)
    guard fd >= 0 else { throw NotInTime(description: "no temporary file: errno \(errno)") }
    close(fd)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// A path in /tmp where nothing is.
public func temporaryPath() throws -> String {
    let path = try temporaryFile()
    unlink(path)
    return path
}

/// A file's text. Empty if it cannot be read.
public func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

/// The names in a directory.
public func entries(_ path: String) -> [String] {
    DirectoryListing.names(path)
}

/// Every process ID.
public func processes() -> [Int32] {
    entries("/proc").compactMap { Int32($0) }
}

/// The children of a single-threaded process.
public func childrenOf(_ pid: Int32) -> [Int32] {
    read("/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap { Int32($0) }
}

/// Whether a process has ended and was not reaped.
public func isZombie(_ pid: Int32) -> Bool {
    read("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ").first == "Z"
}
