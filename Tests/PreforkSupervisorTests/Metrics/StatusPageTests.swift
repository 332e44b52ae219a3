// The status page: that its script runs and shows what /status.json says.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

private let browser = program(["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"])
private let node = program(["/usr/bin/node", "/usr/bin/nodejs"])

private func program(_ paths: [String]) -> String? {
    paths.first { access($0, X_OK) == 0 }
}

@Suite(.timeLimit(.minutes(2)))
struct StatusPageTests {
    private func fixture() async throws -> (program: ChildProgram, port: String) {
        let program = try ChildProgram("control-fixture", [try temporaryPath(), "0", "6"])
        try await eventually("the fixture serves") { program.output.hasSuffix("\n") }
        return (program, String(program.output.dropLast()))
    }

    @Test(.enabled(if: browser != nil, "no Chromium on this machine"))
    func `A browser shows a row for each worker`() async throws {
        let (fixture, port) = try await fixture()
        let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
        let page = try ChildProgram(try #require(browser), arguments + ["http://127.0.0.1:\(port)/"])
        #expect(try await page.waitForExit(within: .seconds(60)) == 0)
        #expect(page.output.split(separator: "data-name=\"slot\"").count == 7)
        #expect(page.output.contains("killed by SIGABRT (core dumped)"))
        #expect(page.output.contains("<title>4/6 Prefork</title>"))
        withExtendedLifetime(fixture) {}
    }

    @Test(.enabled(if: node != nil, "no Node on this machine"))
    func `The page's script shows a row for each worker`() async throws {
        let (fixture, port) = try await fixture()
        let script = """
            const nodes = {}, made = tag => ({ tag, dataset: {}, style: {}, children: [], textContent: "",
              append(...more) { this.children.push(...more); },
              replaceChildren(...all) { this.children = all; this.shown = (this.shown || 0) + 1; } });
            globalThis.document = { hidden: false, title: "", createElement: made,
              getElementById: id => nodes[id] ??= made(id) };
            const base = "http://127.0.0.1:\(port)/", ask = fetch;
            globalThis.fetch = (path, options) => ask(base + path, options);
            ask(base).then(answer => answer.text()).then(html => {
              (0, eval)(html.split("<script>")[1].split("</" + "script>")[0]);
              // The second time, a row has what changed since the first.
              setInterval(() => {
                if (!(nodes.workers && nodes.workers.shown > 1)) return;
                const rows = nodes.workers.children.map(row => row.children.map(cell => cell.textContent).join("|"));
                console.log([document.title, nodes.note.textContent, ...rows].join("\\n"));
                process.exit(0);
              }, 20);
            });
            """
        let page = try ChildProgram(try #require(node), ["-e", script])
        #expect(try await page.waitForExit(within: .seconds(60)) == 0)
        let lines = page.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.first == "4/6 Prefork", "\(page.errors)")
        #expect(lines.dropFirst().first == "")
        #expect(lines.count == 9)
        #expect(page.output.contains("|killed by SIGABRT (core dumped)"))
        withExtendedLifetime(fixture) {}
    }
}
