// A directory of a test's own, and requests for its files without a connection.

import Glibc
import PreforkSystem
import PreforkTestSupport

@testable import PreforkHTTP

/// A temporary directory, removed with its last reference.
final class FilesTree: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/prefork-files-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw NotInTime(description: "mkdtemp: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try makeDirectory("root")
    }

    deinit { _ = system("rm -rf '\(path)'") }

    var root: String { path + "/root" }

    func makeDirectory(_ name: String) throws {
        guard mkdir("\(path)/\(name)", 0o755) == 0 else { throw NotInTime(description: "mkdir \(name): errno \(errno)") }
    }

    /// - Parameter age: how many seconds ago it was written, as far as its times say.
    func write(_ name: String, _ bytes: [UInt8], age: Int = 1_000) throws {
        guard let file = fopen("\(path)/\(name)", "w") else { throw NotInTime(description: "\(name): errno \(errno)") }
        _ = fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        try setAge(of: name, age)
    }

    func write(_ name: String, _ text: String, age: Int = 1_000) throws { try write(name, Array(text.utf8), age: age) }

    func setAge(of name: String, _ age: Int) throws {
        let second = time(nil) - age
        var times = [timeval(tv_sec: second, tv_usec: 0), timeval(tv_sec: second, tv_usec: 0)]
        guard utimes("\(path)/\(name)", &times) == 0 else { throw NotInTime(description: "utimes: errno \(errno)") }
    }

    func link(_ name: String, to target: String) throws {
        guard symlink(target, "\(path)/\(name)") == 0 else { throw NotInTime(description: "symlink: errno \(errno)") }
    }

    func files(_ change: (inout HTTPFiles.Options) -> Void = { _ in }, goesByParts: Bool = false) throws -> HTTPFiles {
        var options = HTTPFiles.Options()
        change(&options)
        return try HTTPFiles(root: root, options: options, goesByParts: goesByParts)
    }
}

extension HTTPFiles {
    /// The response to a request with these fields.
    func get(_ path: String, method: HTTPMethod = .get, query: String? = nil, _ fields: [(String, String)] = [])
        throws(SystemError) -> HTTPResponse
    {
        try response(
            to: FileRequest(method: method, path: path, query: query, isConditional: !fields.isEmpty) { name in
                fields.filter { $0.0.lowercased() == name.lowercased() }.map { $0.1 }
            })
    }

    /// Only the status.
    func status(_ path: String, method: HTTPMethod = .get, _ fields: [(String, String)] = []) throws -> Int {
        try get(path, method: method, fields).status.code
    }
}

extension HTTPResponse {
    /// The body, as the server would send it to a socket. Nil for one that is broken off.
    func sent() throws -> [UInt8]? {
        switch body.kind {
        case .empty: return []
        case .bytes(let bytes): return bytes
        case .text(let text): return Array(text.utf8)
        default: return nil
        }
    }

    /// How many bytes the body announces.
    var count: Int {
        switch body.kind {
        case .empty: 0
        case .bytes(let bytes): bytes.count
        case .text(let text): text.utf8.count
        case .transfer(let count, _): count
        default: -1
        }
    }
}
