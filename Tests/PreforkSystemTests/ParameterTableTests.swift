// Every public parameter of PreforkSystem with values that make no sense.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkSystem",
            reasons: [
                "ResourceUsage": "what the kernel has counted",
                "ExitStatus": "what the kernel has said",
                "Listener.init.endpoint": "each of its cases is in the table",
                "SandboxError": "what a start has found",
            ])
    }

    /// A Unix socket's path in a folder of its own, which is gone afterwards.
    private static func inFolder(_ name: String, mode: UInt32 = 0o600) throws {
        let folder = try temporaryPath()
        mkdir(folder, 0o700)
        defer {
            for inner in ["\(folder)/own", folder] {
                for entry in entries(inner) { unlink("\(inner)/\(entry)") }
                rmdir(inner)
            }
        }
        // `../x` is beside this one.
        mkdir("\(folder)/own", 0o700)
        let path = name.isEmpty ? folder + "/" : "\(folder)/own/\(name)"
        let listener = try Listener(.unix(path, mode: mode))
        defer { listener.close() }
        #expect(listener.address == .unix(path: path))
        var status = stat()
        try #require(stat(path, &status) == 0)
        #expect(status.st_mode & 0o7777 == mode)
    }

    private static func nameOfAnAccount(
        _ parameter: String, _ text: String, _ owner: @escaping @Sendable (String) -> SocketOwner
    ) -> [ParameterRow] {
        Parameter.text(
            parameter, empty: .refused(text), huge: .refused(text, "more bytes"), nul: .refused(text, "a\\u{0}b"),
            controls: .refused(text, "a\\u{1B}[2J\\u{A}b"), dots: .refused(text, "../x"),
            foreign: .refused(text, "größe \\u{202E}")
        ) { name in try Listener(.unix("/tmp/prefork-nobodys.sock", owner: owner(name))).close() }
    }

    private static let table: [ParameterRow] = endpoints + descriptors + addresses + names + sandboxes + metrics

    private static func sandboxed(_ change: (inout Sandbox) -> Void) throws {
        var sandbox = Sandbox.networkServer
        change(&sandbox)
        _ = try PreparedSandbox(sandbox)
    }

    private static let fileRules: [(String, @Sendable (String) -> Sandbox.FileRule)] = [
        ("read", { .read($0) }), ("write", { .write($0) }), ("execute", { .execute($0) }),
    ]

    private static let sandboxes: [ParameterRow] =
        fileRules.flatMap { name, rule in
            Parameter.text(
                "Sandbox.FileRule.\(name).0", empty: .refused("absolute", "''"), huge: .refused("absolute", "more bytes"),
                other: .refused("absolute")
            ) { path in try sandboxed { $0.files = [rule(path)] } }
                + Parameter.value("Sandbox.FileRule.\(name).0", "/ and NUL", .refused("/a\\u{0}b")) {
                    try sandboxed { $0.files = [rule("/a\0b")] }
                }
                + Parameter.value("Sandbox.FileRule.\(name).0", "/a,b", .refused("/a,b", "commas")) {
                    try sandboxed { $0.files = [rule("/a,b")] }
                }
        }
        + Parameter.list(
            "Sandbox.bindPorts", of: 80, empty: .means("no port"), huge: .means("one port")
        ) { (ports: [UInt16]) in try sandboxed { $0.bindPorts = ports } }
        + Parameter.list(
            "Sandbox.connectPorts", of: 0, empty: .means("no port"), huge: .means("one port")
        ) { (ports: [UInt16]) in try sandboxed { $0.connectPorts = ports } }

    private static let refusedAddresses = [
        ":8080", "localhost", "localhost:", "localhost:http", "::1:8080", "127.0.0.1:65536", "127.0.0.1:-1", "unix:",
        "unix:relative", "unix:127.0.0.1:80",
    ]

    private static let endpoints: [ParameterRow] =
        Parameter.text(
            "Endpoint.tcp.0", empty: .means("all addresses"), huge: .refused("xxx", "more bytes"),
            nul: .refused("a\\u{0}b"),
            controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("../x"), foreign: .refused("größe \\u{202E}")
        ) { host in
            let listener = try Listener(.tcp(host, 0))
            defer { listener.close() }
            #expect(listener.address.port != 0)
        }
        // A C string ends at its first NUL: this is not 127.0.0.1.
        + Parameter.value("Endpoint.tcp.0", "127.0.0.1 NUL x", .refused("127.0.0.1\\u{0}x")) {
            try Listener(.tcp("127.0.0.1\0x", 0)).close()
        }
        + Parameter.unsigned(
            "Endpoint.tcp.1", zero: .means("a free port"), huge: .means("the last port, if it is free")
        ) {
            (port: UInt16) in
            do {
                let listener = try Listener(.tcp("127.0.0.1", port))
                defer { listener.close() }
                #expect(listener.address.port == port || port == 0)
            } catch let error as SystemError where error.errno == .addressInUse {}
        }
        + Parameter.text(
            "Endpoint.unix.0", empty: .refused("bind", "unix:", "Is a directory"), huge: .refused("File name too long"),
            nul: .refused("a\\u{0}b", "Invalid argument"), controls: .means("a name like any other"),
            dots: .means("a name beside the folder"), foreign: .means("a name like any other")
        ) { try inFolder($0) }
        + Parameter.value("Endpoint.unix.0", "no path at all", .refused("unix:", "Invalid argument")) {
            try Listener(.unix("")).close()
        }
        + Parameter.text(
            "Listener.init.address", empty: .refused("''", "HOST:PORT"), huge: .refused("xxx", "more bytes"),
            nul: .refused("a\\u{0}b"), controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("'../x'"),
            foreign: .refused("größe \\u{202E}")
        ) { try Listener($0).close() }
        + refusedAddresses.flatMap { address in
            Parameter.value("Listener.init.address", address, .refused("'\(address)'", "HOST:PORT")) {
                try Listener(address).close()
            }
        }
        + Parameter.unsigned(
            "Endpoint.unix.mode", zero: .means("nobody but root"), huge: .refused("mode", "37777777777")
        ) { (mode: UInt32) in try inFolder("socket", mode: mode) }
        + Parameter.value("Endpoint.unix.mode", "0o1000", .refused("mode", "0o1000")) {
            try inFolder("socket", mode: 0o1000)
        }
        + nameOfAnAccount("SocketOwner.init.user", "no user") { SocketOwner(user: $0) }
        + nameOfAnAccount("SocketOwner.init.group", "no group") { SocketOwner(group: $0) }
        + Parameter.number(
            "Listener.init.backlog", zero: .means("the kernel lets one wait"), negative: .refused("backlog of -"),
            huge: .means("net.core.somaxconn")
        ) { (backlog: Int32) in
            let listener = try Listener(.tcp("127.0.0.1", 0), backlog: backlog)
            listener.close()
        }
        + Parameter.number(
            "AcceptSharing.reusePort.queues", zero: .refused("0 SO_REUSEPORT queues"),
            negative: .refused("SO_REUSEPORT queues"),
            huge: .refused("\(Int.max) SO_REUSEPORT queues")
        ) { (queues: Int) in
            let listener = try Listener(.tcp("127.0.0.1", 0), sharing: .reusePort(queues: queues))
            listener.close()
        }

    private static let descriptors: [ParameterRow] =
        Parameter.number(
            "Listener.init.adopting", zero: .refused("non-socket", "SO_ACCEPTCONN"),
            negative: .refused("Bad file descriptor"), huge: .refused("Bad file descriptor")
        ) { (descriptor: Int32) in
            // 0 is not the test's to close: a copy of a file that is no socket stands for it.
            let number = descriptor == 0 ? open("/dev/null", O_RDONLY) : descriptor
            defer { if descriptor == 0 { close(number) } }
            _ = try Listener(adopting: number)
        }

    private static let addresses: [ParameterRow] =
        ["ipv4.0", "ipv4.port", "ipv6.0", "ipv6.1", "ipv6.port", "ipv6.scope", "other.family"].flatMap { part in
            Parameter.unsigned("SocketAddress.\(part)", zero: .means("a value"), huge: .means("a value")) {
                (number: UInt16) in
                let wide = number == 0 ? UInt64(0) : .max
                let all: [SocketAddress] = [
                    .ipv4(UInt32(truncatingIfNeeded: wide), port: number),
                    .ipv6(wide, wide, port: number, scope: UInt32(truncatingIfNeeded: wide)), .other(family: number),
                ]
                for address in all { #expect(!"\(address)".isEmpty) }
            }
        }
        + Parameter.text(
            "SocketAddress.unix.path", empty: .means("an unnamed one"), huge: .means("a value that no call takes"),
            other: .means("a value that is printed in one harmless line")
        ) { path in
            #expect("\(SocketAddress.unix(path: path))".unicodeScalars.allSatisfy { !Escaping.hides($0) })
        }

    private static let names: [ParameterRow] =
        Parameter.number(
            "Errno.init.rawValue", zero: .means("no error"), negative: .means("a number without a name"),
            huge: .means("a number without a name")
        ) { (number: Int32) in #expect(!"\(Errno(rawValue: number))".isEmpty) }
        + Parameter.number(
            "Signal.init.rawValue", zero: .means("a number without a name"),
            negative: .means("a number without a name"),
            huge: .means("a number without a name")
        ) { (number: Int32) in #expect("\(Signal(rawValue: number))" == "signal \(number)") }
        + ["TraceID.init.high", "TraceID.init.low"].flatMap { parameter in
            Parameter.unsigned(parameter, zero: .means("a number"), huge: .means("a number")) { (number: UInt64) in
                let trace = TraceID(high: number, low: number)
                #expect(number == 0 || TraceID("\(trace)") == trace)
            }
        }
        + Parameter.text(
            "TraceID.init.text", empty: .means("nil"), huge: .means("nil"), other: .means("nil")
        ) { text in #expect(TraceID(text) == nil) }
        + Parameter.text(
            "Listener.inherited.named", empty: .means("none has it"), huge: .means("none has it"),
            other: .means("none has it")
        ) { name in
            let found = try Listener.inherited(named: name)
            #expect(found.isEmpty)
        }
}
