// The root: it answers while it runs, and finishes what is in flight before anything it needs is stopped.

import Prefork

final class Server: AsyncService {
    let lifecycle = Lifecycle("server")
    let dependencies: [DependencyGroup]
    private let listener: Listener?
    private let worker: Worker?
    private let teller: Teller
    /// Ends when the last connection is answered.
    private let served = AsyncStream.makeStream(of: Void.self)

    /// The database first, then the cache and the mail at once, then the server.
    static func tree(_ options: Options, _ worker: Worker? = nil, _ listener: Listener? = nil) -> Server {
        let database = Part("database", options, worker)
        let cache = Part("cache", options, worker, needs: [.one(database)])
        let mail = Part("mail", options, worker, needs: [.one(database)])
        return Server(options, worker, listener, needs: [.one(database), .parallel([cache, mail])])
    }

    init(_ options: Options, _ worker: Worker?, _ listener: Listener?, needs: [DependencyGroup]) {
        dependencies = needs
        self.listener = listener
        self.worker = worker
        teller = Teller(name: "server", willCrash: options.crash == "server", worker: worker)
    }

    func start() async throws {
        try await teller.start()
        try addTask("connections") { [self] in
            defer { served.continuation.finish() }
            try await serve()
        }
        if teller.willCrash { try addTask("connection") { [teller] in try await teller.live() } }
    }

    func stop() async throws {
        // Asked to stop, the listener drains by itself. After a crash, the task is cancelled when this has returned.
        if worker?.stopRequested.isRequested == true { for await _ in served.stream {} }
        try await teller.stop()
    }

    private func serve() async throws {
        try await listener?.serve { [worker] connection in
            while try await connection.reader.waitForMessage() {
                _ = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
                let text = "Hello from worker \(worker?.taskID ?? 0)!\n"
                let end = connection.isDraining ? "Connection: close\r\n" : ""
                try await connection.writer.write(
                    "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\(end)\r\n\(text)")
                if connection.isDraining { return }
            }
        }
    }
}
