// Sandboxes as text, and what of them a kernel has.

import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite struct SandboxTests {
    @Test(arguments: [
        "network-server", "local", "all-calls", "network-server,strict", "network-server,kill,unscoped",
        "local,no-files", "network-server,read=/srv/site,write=/var/lib/a b,execute=/usr/bin",
        "network-server,bind=none,connect=5432,connect=443,strict",
    ]) func textIsReadAsItWasWritten(_ text: String) throws {
        let sandbox = try #require(Sandbox(text: text))
        #expect(sandbox.text == text)
        #expect(Sandbox(text: sandbox.text) == sandbox)
    }

    @Test(arguments: [
        "", "server", "strict", "network-server,", ",network-server", "network-server strict", "network-server,read=",
        "network-server,read=srv", "network-server,connect=", "network-server,connect=70000", "network-server,bind=+1",
        "network-server,files", "local,network-server", "network-server,read=/a\0b", "off",
    ]) func whatMakesNoSenseIsRefused(_ text: String) {
        #expect(Sandbox(text: text) == nil)
    }

    @Test func presetsSayWhatTheyAre() {
        #expect(Sandbox.networkServer.isScoped && Sandbox.networkServer.files == nil && !Sandbox.networkServer.isStrict)
        #expect(Sandbox.local == Sandbox(systemCalls: .local))
    }

    private func prepared(
        _ text: String, version: Int, hasFilters: Bool = true, architecture: UInt32 = 0xC000_003E
    ) throws -> PreparedSandbox {
        try PreparedSandbox(
            try #require(Sandbox(text: text)), root: nil, version: version, hasFilters: hasFilters,
            architecture: architecture)
    }

    @Test func whatAnOlderKernelLacksIsNamedOnce() throws {
        let text = "network-server,read=/,connect=1"
        #expect(try prepared(text, version: 7).warning == nil)
        #expect(try prepared(text, version: 5).lacking == ["signals need Landlock 6 (Linux 6.12), here is 5"])
        #expect(try prepared(text, version: 3).lacking.count == 3)
        #expect(try prepared(text, version: 1).lacking.count == 4)
        let none = try prepared(text, version: 0)
        #expect(none.lacking.count == 3)
        #expect(none.warning?.hasPrefix("the sandbox is incomplete here: files need Landlock") == true)
        #expect(try prepared("network-server,unscoped", version: 0).warning == nil)
    }

    @Test(arguments: [
        ("network-server,strict", 5, true, "signals need Landlock 6"), ("local,unscoped,strict", 7, false, "seccomp filters"),
        ("all-calls,unscoped,read=/nowhere/at-all,strict", 7, true, "/nowhere/at-all: No such file or directory"),
    ] as [(String, Int, Bool, String)]) func aStrictSandboxIsWholeOrRefused(
        text: String, version: Int, hasFilters: Bool, reason: String
    ) throws {
        let error = try #require(throws: SandboxError.self) {
            try prepared(text, version: version, hasFilters: hasFilters)
        }
        guard case .lacking(let parts) = error.code else {
            Issue.record("\(error)")
            return
        }
        #expect(parts.count == 1 && "\(error)".contains(reason), "\(error)")
    }

    @Test func anotherArchitectureHasNoFilter() throws {
        #expect(try prepared("network-server", version: 7, architecture: 0xC000_00F3).lacking.count == 1)
    }

    @Test func aPathThatCannotBeUsedIsNamed() throws {
        var sandbox = Sandbox.local
        sandbox.files = [.read("/srv"), .write("relative\u{1B}[2J")]
        let error = try #require(throws: SandboxError.self) { try PreparedSandbox(sandbox) }
        #expect("\(error)".contains("'relative\\u{1B}[2J'"))
        #expect(Sandbox(text: sandbox.text) == nil)
    }

    @Test func rulesAskForNoMoreThanTheVersionKnows() throws {
        let sandbox = try #require(Sandbox(text: "all-calls,read=/,bind=80,connect=1"))
        let files: [(Int, UInt64)] = [(1, 0x1FFF), (2, 0x3FFF), (3, 0x7FFF), (4, 0x7FFF), (5, 0xFFFF), (7, 0xFFFF)]
        for (version, rights) in files {
            let rules = LandlockRules(sandbox, version: version)
            #expect(rules.files == rights)
            #expect(rules.ports == (version >= 4 ? 3 : 0))
            #expect(rules.scopes == (version >= 6 ? 3 : 0))
            for rule in [Sandbox.FileRule.read("/"), .write("/"), .execute("/")] {
                #expect(rules.rights(of: rule, isDirectory: true) & ~rights == 0)
            }
        }
        #expect(LandlockRules(sandbox, version: 0).isEmpty)
        #expect(LandlockRules(try #require(Sandbox(text: "local,unscoped")), version: 7).isEmpty)
    }

    @Test func aRuleForAFileHasNoRightsOfDirectories() throws {
        let rules = LandlockRules(try #require(Sandbox(text: "all-calls,no-files")), version: 7)
        // Read: the file. Write: also write, truncate, control.
        #expect(rules.rights(of: .read("/x"), isDirectory: false) == 1 << 2)
        #expect(rules.rights(of: .write("/x"), isDirectory: false) == 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15)
        #expect(rules.rights(of: .execute("/x"), isDirectory: true) == 1 | 1 << 2 | 1 << 3)
        // No device nodes.
        #expect(rules.rights(of: .write("/x"), isDirectory: true) & (1 << 6 | 1 << 11) == 0)
    }

    @Test func theProgramAndItsLibrariesAreFound() {
        let objects = LoadedObject.all
        #expect(objects.count > 3 && objects[0].path == nil)
        #expect(objects.contains { $0.path?.contains("libc.so") == true && !$0.buildID.isEmpty })
        for object in objects { #expect(object.code.lowerBound <= object.code.upperBound) }
    }
}
