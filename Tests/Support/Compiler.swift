// Asking the compiler what it refuses.

import Glibc

/// The Swift compiler, asked about source that uses this package.
public enum Compiler {
    public static let path: String? = {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").map { "\($0)/swiftc" }.first { access($0, X_OK) == 0 }
    }()

    /// - Parameter arguments: more for the compiler.
    /// - Returns: what it says of this source. Empty if it says nothing.
    public static func complaints(about source: String, _ arguments: [String] = []) async throws -> String {
        guard let path else { throw NotInTime(description: "no swiftc in PATH") }
        let file = try temporaryFile() + ".swift"
        defer { unlink(file) }
        let descriptor = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw NotInTime(description: "\(file): errno \(errno)") }
        _ = write(descriptor, source, source.utf8.count)
        close(descriptor)
        // Beside this test's own program.
        let build = "/" + ChildProgram.path(of: "any").split(separator: "/").dropLast().joined(separator: "/")
        let program = try ChildProgram(
            path,
            ["-typecheck", "-swift-version", "6"] + arguments + [
                "-I", "\(build)/Modules", "-Xcc", "-fmodule-map-file=\(build)/CPrefork.build/module.modulemap", file,
            ])
        let status = try await program.waitForExit(within: .seconds(120))
        if status != 0, program.errors.isEmpty { return "error: the compiler ended with \(status)" }
        return program.errors
    }
}
