// Trees on paper: what is found out before anything starts.

import PreforkServices
import PreforkServicesTestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PlanTests {
    private let server: ScriptedService = {
        let database = ScriptedService("database")
        let cache = ScriptedService("cache", needs: [.one(database)])
        let mail = ScriptedService("mail")
        return ScriptedService("server", needs: [.parallel([database, cache]), .one(mail)])
    }()

    @Test func `a plan names who starts at the same time`() throws {
        let plan = try ServicePlan(server)
        #expect(plan.levels == [["database"], ["cache"], ["mail"], ["server"]])
        #expect(plan.description == "1: database\n2: cache\n3: mail\n4: server")
    }

    @Test func `a plan is drawn in mermaid and dot`() throws {
        let plan = try ServicePlan(server)
        #expect(
            plan.mermaid == """
                flowchart TD
                    s0["server"]
                    s1["database"]
                    s2["cache"]
                    s3["mail"]
                    s0 -->|1| s1
                    s0 -->|1| s2
                    s0 -->|2| s3
                    s2 --> s1

                """)
        #expect(
            plan.dot == """
                digraph services {
                    s0 [label="server"];
                    s1 [label="database"];
                    s2 [label="cache"];
                    s3 [label="mail"];
                    s0 -> s1 [label="1"];
                    s0 -> s2 [label="1"];
                    s0 -> s3 [label="2"];
                    s2 -> s1;
                }

                """)
    }

    @Test func `names cannot break a drawing`() throws {
        let plan = try ServicePlan(ScriptedService("a\"b\\c#d\ne"))
        #expect(plan.mermaid.contains("[\"a#quot;b\\c#35;d e\"]"))
        #expect(plan.dot.contains("[label=\"a\\\"b\\\\c#d\\ne\"]"))
    }

    @Test func `a cycle is an error with its path`() async {
        #expect(await thrown { try ServicePlan(Ring.make(2)) }?.kind == .cycle(["ring0", "ring1", "ring0"]))
        let outside = ScriptedService("outside", needs: [.one(Ring.make(2))])
        #expect(await thrown { try ServicePlan(outside) }?.kind == .cycle(["ring0", "ring1", "ring0"]))
    }

    @Test func `two services of one name are an error with the path`() async {
        let root = ScriptedService("root", needs: [.one(ScriptedService("x")), .one(ScriptedService("x"))])
        let error = await thrown { try ServicePlan(root) }
        #expect(error?.kind == .duplicateName("x"))
        #expect(error?.story == ["duplicateName(\"x\") root/x"])
        #expect(await thrown { try await root.run() }?.kind == .duplicateName("x"))
    }

    @Test func `unnamed services get names that nobody has`() throws {
        final class Plain: AsyncService {
            let lifecycle = Lifecycle()
            let dependencies: [DependencyGroup]
            init(_ dependencies: [DependencyGroup] = []) { self.dependencies = dependencies }
        }
        let root = Plain([.one(ScriptedService("Plain-1")), .one(Plain())])
        #expect(try ServicePlan(root).levels == [["Plain-1"], ["Plain-3"], ["Plain-2"]])
    }

    @Test func `groups are one after another with everything below them`() throws {
        let deep = ScriptedService("deep")
        let first = ScriptedService("first"), second = ScriptedService("second", needs: [.one(deep)])
        let root = ScriptedService("root", needs: [.one(first), .parallel([]), .one(second)])
        #expect(try ServicePlan(root).levels == [["first"], ["deep"], ["second"], ["root"]])
    }

    @Test(arguments: [true, false])
    func `ten thousand services are started and stopped, deep or wide`(isDeep: Bool) async throws {
        final class Plain: AsyncService {
            let lifecycle = Lifecycle()
            let dependencies: [DependencyGroup]
            init(_ dependencies: [DependencyGroup] = []) { self.dependencies = dependencies }
        }
        var all: [Plain] = [Plain()]
        for _ in 1..<10_000 { all.append(Plain(isDeep ? [.one(all[all.count - 1])] : [])) }
        let root = isDeep ? all[9_999] : Plain([.parallel(all)])
        #expect(try ServicePlan(root).levels.count == (isDeep ? 10_000 : 2))
        try await root.withRunning { _ in #expect(all.allSatisfy { $0.running }) }
        #expect(all.allSatisfy { $0.lifecycle.counters.stops == 1 })
        // Given back one by one: the last reference to a long chain would be released by recursion, which is Swift's.
        while all.popLast() != nil {}
    }
}
