// Code that the compiler must refuse, checked by the compiler.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3)), .enabled(if: Compiler.path != nil, "there is no swiftc in PATH"))
struct ForeignTextCompilingTests {
    /// The package's identity, by which its modules know one another: the name of its folder.
    private static let package = packageRoot.split(separator: "/").last?.lowercased() ?? ""

    /// - Returns: what the compiler says of these statements, in which `text` is a `ForeignText`. Empty if it says
    ///   nothing.
    private func complaints(_ statements: String) async throws -> String {
        let source = """
            import PreforkSystem
            func show(_ text: ForeignText) throws {
                \(statements)
            }
            """
        return try await Compiler.complaints(about: source, ["-package-name", Self.package])
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
