// The manual's tables of methods are whole.

import PreforkTestSupport
import Testing

@Suite struct MethodTableTests {
    private static let folder = "\(packageRoot)/Sources"

    /// A method whose name has no call in a table would be one that readers of the manual never find.
    @Test(arguments: [
        "PreforkStore/SharedStore/SharedStore+Reading.swift", "PreforkStore/SharedStore/SharedStore+Writing.swift",
        "PreforkStore/SharedStore/AtomicStep.swift", "PreforkChannels/Subscriptions/SharedStore+Watch.swift",
        "PreforkChannels/Subscriptions/SharedStore+Subscribe.swift",
    ])
    func everyMethodIsInATable(file: String) throws {
        let source = read("\(Self.folder)/\(file)")
        let page = read("\(Self.folder)/Prefork/Documentation.docc/ChannelsAndStore.md")
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        // Methods of the objects that `subscribe` and `watch` return.
        let others = ["unsubscribe", "next", "makeAsyncIterator"]
        let names = Set(source.matches(of: /public (?:mutating )?func (\w+)[<(]/).map { String($0.1) })
            .subtracting(others)
        try #require(!names.isEmpty)
        for name in names.sorted() {
            #expect(rows.contains { $0.contains("`\(name)(") }, "\(name) is in no table")
        }
    }
}
