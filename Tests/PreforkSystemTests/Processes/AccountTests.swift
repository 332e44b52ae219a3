// Users and groups by name.

import PreforkSystem
import Testing

@Suite struct AccountTests {
    @Test func rootIsThereByNameAndNumber() throws {
        let root = try #require(try Accounts.user(named: "root"))
        #expect(root.uid == 0 && root.name == "root")
        #expect(try Accounts.user(withID: 0) == root)
        #expect(try Accounts.group(named: "root") == 0)
        #expect(Accounts.groups(of: root).contains(root.gid))
    }

    @Test func nobodyOfThatNameIsNoError() throws {
        for name in ["no such user", "", String(repeating: "x", count: 5_000)] {
            #expect(try Accounts.user(named: name) == nil)
            #expect(try Accounts.group(named: name) == nil)
        }
        #expect(try Accounts.user(withID: 4_294_967_000) == nil)
    }
}
