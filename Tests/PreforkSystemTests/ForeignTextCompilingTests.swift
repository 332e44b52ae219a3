// What the compiler is to refuse, asked of the compiler.

import Glibc
import PreforkTestSupport
import Testing

private let compiler: String? = {
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    return path.split(separator: ":").map { "\($0)/swiftc" }.first { access($0, X_OK) == 0 }
}()

@Suite(.timeLimit(.minutes(3)), .enabled(if: compiler != nil, "there is no swiftc in PATH"))
struct ForeignTextCompilingTests {
    /// The package's identity, by which its modules know one another: the name of its folder.
    private static let package = #filePath.split(separator: "/").dropLast(3).last?.lowercased() ?? ""

    /// - Returns: what the compiler says of these statements, in which `text` is a `ForeignText`; empty: nothing.
    private func complaints(_ statements: String) async throws -> String {
        let source = """
            import PreforkSystem
            func show(_ text: ForeignText) throws {
                \(statements)
            }
            """
        let file = try temporaryFile() + ".swift"
        defer { unlink(file) }
        let descriptor = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        _ = write(descriptor, source, source.utf8.count)
        close(descriptor)
        // Beside this test's own program.
        let build = ChildProgram.path(of: "host-fixture").split(separator: "/").dropLast().joined(separator: "/")
        let program = try ChildProgram(
            try #require(compiler),
            [
                "-typecheck", "-swift-version", "6", "-package-name", Self.package, "-I", "/\(build)/Modules", "-Xcc",
                "-fmodule-map-file=/\(build)/CPrefork.build/module.modulemap", file,
            ])
        let status = try await program.waitForExit(within: .seconds(120))
        #expect((status == 0) == program.errors.isEmpty, "\(program.errors)")
        return program.errors
    }

    @Test func `Escaped text can be shown`() async throws {
        let said = try await complaints(#"print("\(text.escaped(for: .log))", text == "x")"#)
        #expect(said.isEmpty, "\(said)")
    }

    @Test(arguments: [
        #"print("\(text)")"#, #"let line: String = "a \(text) b"; _ = line"#, "print(text.description)",
        "print(text.debugDescription)", "let line: String = text; print(line)", #"print("a" + text)"#,
    ])
    func `Text that is not escaped cannot`(_ statements: String) async throws {
        let said = try await complaints(statements)
        #expect(said.contains("error: "), "\(statements)")
    }
}
