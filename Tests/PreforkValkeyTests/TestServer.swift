// A server of a test's own, on a Unix socket in a directory of its own.

#if Valkey
    import Glibc
    import PreforkSystem
    import PreforkTestSupport
    import PreforkValkey

    /// Started with the object, ended with it.
    final class TestServer: @unchecked Sendable {
        // Sendable: `program` is changed by one test task at a time.
        let directory: String
        private let arguments: [String]
        private(set) var program: ChildProgram

        static let path = ["/usr/bin/valkey-server", "/usr/bin/redis-server"].first { (path: String) in
            access(path, X_OK) == 0
        }

        init(_ arguments: String...) throws {
            directory = try temporaryPath()
            mkdir(directory, 0o700)
            self.arguments = arguments
            program = try Self.start(directory, arguments)
        }

        deinit {
            program.send(.kill)
            unlink(socket)
            unlink(directory + "/dump.rdb")
            rmdir(directory)
        }

        var socket: String { directory + "/s" }

        func settings(prefix: String = "") -> ValkeySettings {
            var settings = ValkeySettings(.unix(path: socket), prefix: prefix)
            // A machine that is busy with other tests is not what these are about.
            settings.commandTimeout = .seconds(30)
            settings.connectTimeout = .seconds(30)
            settings.reconnectDelay = .milliseconds(1) ... .milliseconds(50)
            return settings
        }

        func backend(prefix: String = "") -> ValkeyBackend {
            ValkeyBackend(settings(prefix: prefix))
        }

        /// Ends it at once, as a crash would.
        func kill() async throws {
            program.send(.kill)
            _ = try await program.waitForExit()
        }

        func startAgain() throws {
            unlink(socket)
            program = try Self.start(directory, arguments)
        }

        private static func start(_ directory: String, _ arguments: [String]) throws -> ChildProgram {
            guard let path else { throw NotInTime(description: "no server") }
            return try ChildProgram(
                path, ["--unixsocket", directory + "/s", "--dir", directory, "--save", "", "--port", "0"] + arguments)
        }
    }

    /// A TCP port that no process listened on a moment ago.
    func freePort() throws -> UInt16 {
        let probe = SocketAddress.ipv4(0x7F00_0001, port: 0)
        let socket = Descriptor(owning: try Socket.open(for: probe))
        try Socket.bind(socket.number, to: probe)
        return try Socket.localAddress(socket.number).port!
    }
#endif
