// A sandbox as one line of words, both ways: what the environment has, and `--print-config` shows.

extension Sandbox {
    /// What the words look like.
    package static let shape =
        "network-server, local or all-calls, then words as ,kill,unscoped,read=/srv,write=/var/lib/app,"
        + "connect=443,strict"

    /// - Parameter text: a preset, and what differs from it: `network-server,write=/var/lib/shop,connect=5432,strict`.
    package init?(text: String) {
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        guard let calls = SystemCalls(word: words[0]) else { return nil }
        self.init(systemCalls: calls)
        for word in words.dropFirst() where !add(word) { return nil }
    }

    private mutating func add(_ word: Substring) -> Bool {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return add(flag: word) }
        let value = String(parts[1])
        switch parts[0] {
        case "read": return add(.read(value))
        case "write": return add(.write(value))
        case "execute": return add(.execute(value))
        case "bind": return Self.add(value, to: &bindPorts)
        case "connect": return Self.add(value, to: &connectPorts)
        default: return false
        }
    }

    private mutating func add(flag: Substring) -> Bool {
        switch flag {
        case "kill": refusal = .kill
        case "unscoped": isScoped = false
        case "strict": isStrict = true
        // The base files alone.
        case "no-files" where files == nil: files = []
        default: return false
        }
        return true
    }

    private mutating func add(_ rule: FileRule) -> Bool {
        guard rule.hasGoodPath else { return false }
        files = (files ?? []) + [rule]
        return true
    }

    private static func add(_ text: String, to ports: inout [UInt16]?) -> Bool {
        if text == "none", ports == nil {
            ports = []
            return true
        }
        guard text.utf8.allSatisfy({ 48...57 ~= $0 }), let port = UInt16(text) else { return false }
        ports = (ports ?? []) + [port]
        return true
    }

    /// What `init(text:)` reads.
    package var text: String {
        var words = [systemCalls.word]
        if refusal == .kill { words.append("kill") }
        if !isScoped { words.append("unscoped") }
        if let files { words += files.isEmpty ? ["no-files"] : files.map(\.word) }
        for (name, ports) in [("bind", bindPorts), ("connect", connectPorts)] {
            guard let ports else { continue }
            words += ports.isEmpty ? ["\(name)=none"] : ports.map { "\(name)=\($0)" }
        }
        if isStrict { words.append("strict") }
        return words.joined(separator: ",")
    }

    /// The first path that cannot be used.
    package var badPath: String? { files?.first { !$0.hasGoodPath }?.path }
}

extension Sandbox.SystemCalls {
    fileprivate init?(word: Substring) {
        guard let calls = Self.allCases.first(where: { $0.word == word }) else { return nil }
        self = calls
    }

    fileprivate var word: String {
        switch self {
        case .all: "all-calls"
        case .networkServer: "network-server"
        case .local: "local"
        }
    }
}

extension Sandbox.FileRule {
    var path: String {
        switch self {
        case .read(let path), .write(let path), .execute(let path): path
        }
    }

    fileprivate var word: String {
        switch self {
        case .read: "read=\(path)"
        case .write: "write=\(path)"
        case .execute: "execute=\(path)"
        }
    }

    /// A comma would end it in the environment.
    fileprivate var hasGoodPath: Bool {
        path.utf8.first == UInt8(ascii: "/") && !path.utf8.contains(0) && !path.utf8.contains(UInt8(ascii: ","))
    }
}
