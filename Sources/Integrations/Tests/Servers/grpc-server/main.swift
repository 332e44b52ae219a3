// gRPC Swift 2 in each worker, on the inherited listener.

import AskService
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import NIOPosix
import Prefork
import SlowRequest
import Synchronization

struct Answers: RegistrableRPCService {
    /// For the test: calls that were begun here.
    static let begun = Atomic(0)

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: AskService.ask, deserializer: TextCoding(), serializer: TextCoding()
        ) { request, _ in
            Self.begun.add(1, ordering: .relaxed)
            let question = try await ServerRequest(stream: request).message
            if question == "/slow" {
                SlowRequest.begin()
                try await Task.sleep(for: SlowRequest.duration)
                return StreamingServerResponse(single: ServerResponse(message: SlowRequest.answer))
            }
            return StreamingServerResponse(single: ServerResponse(message: "\(getpid())"))
        }
    }
}

let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

var runtime = ForkRuntime()
runtime.readiness = .manual
let summary = try runtime.run { worker in
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let transport = HTTP2ServerTransport.Posix(
        listeningSocketDescriptor: Int(try listener.duplicate()), transportSecurity: .plaintext, eventLoopGroup: group)
    let server = GRPCServer(transport: transport, services: [Answers()])
    try await withThrowingDiscardingTaskGroup { tasks in
        // Before the first request can be read: one that crashes this worker must not look like a worker that cannot boot.
        worker.ready()
        tasks.addTask { try await server.serve() }
        try await worker.stopRequested.wait()
        server.beginGracefulShutdown()   // accepts no more, says GOAWAY, and ends with the last call
    }
    SlowRequest.tell("calls begun: \(Answers.begun.load(ordering: .relaxed))")
}
exit(summary.outcome.exitCode)
