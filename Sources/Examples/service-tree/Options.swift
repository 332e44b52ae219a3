// The command line.

struct Options: Sendable {
    static let names = ["database", "cache", "mail", "server"]

    var port: UInt16 = 8080
    var isPlan = false
    /// The service whose task fails.
    var crash: String?

    /// Nil when the words make no sense.
    init?(_ words: some Sequence<String>) {
        var words = words.makeIterator()
        while let word = words.next() {
            switch word {
            case "--plan": isPlan = true
            case "--port":
                guard let port = words.next().flatMap({ UInt16($0) }) else { return nil }
                self.port = port
            case "--crash":
                guard let name = words.next(), Self.names.contains(name) else { return nil }
                crash = name
            default: return nil
            }
        }
    }
}
