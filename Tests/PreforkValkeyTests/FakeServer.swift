// A server that answers what a test wants, which no real one would.

#if Valkey
    import Glibc
    import PreforkSystem
    import PreforkTestSupport
    import Synchronization

    /// Listens on a Unix socket and sends one text for each chunk that it reads. Nil hangs up.
    final class FakeServer: Sendable {
        let path: String
        private let listener: Int32
        private let connections = Atomic(0)

        var connectionCount: Int { connections.load(ordering: .relaxed) }

        /// - Parameter answer: given what was read, and the number of chunks of its connection before it.
        init(_ answer: @escaping @Sendable (String, Int) -> String?) throws {
            path = try temporaryPath()
            let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            self.listener = listener
            try Socket.bind(listener, to: .unix(path: path))
            try Socket.listen(listener, backlog: 64, on: .unix(path: path))
            try startThread { [weak self] in
                // Ends when deinit shuts the listener.
                while case let connection = accept(listener, nil, nil), connection >= 0 {
                    self?.connections.add(1, ordering: .relaxed)
                    do {
                        try startThread { Self.serve(connection, answer) }
                    } catch {
                        closeDescriptor(connection)
                    }
                }
                closeDescriptor(listener)
            }
        }

        deinit {
            shutdown(listener, Int32(SHUT_RDWR))
            unlink(path)
        }

        private static func serve(_ connection: Int32, _ answer: (String, Int) -> String?) {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            var chunks = 0
            while case let count = recv(connection, &bytes, bytes.count, 0), count > 0 {
                guard let text = answer(String(decoding: bytes[..<count], as: UTF8.self), chunks) else { break }
                chunks += 1
                let utf8 = Array(text.utf8)
                guard send(connection, utf8, utf8.count, Int32(MSG_NOSIGNAL)) >= 0 else { break }
            }
            closeDescriptor(connection)
        }
    }
#endif
