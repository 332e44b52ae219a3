// SwiftNIO in each worker, on the inherited listener.

import Glibc
import NIOCore
import NIOExtras
import NIOHTTP1
import NIOPosix
import Prefork
import PreforkNIO
import SlowRequest

let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

var runtime = ForkRuntime()
runtime.readiness = .manual
let summary = try runtime.run { worker in
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let quiescing = ServerQuiescingHelper(group: group)
    // Before the first request can be read: one that crashes this worker must not look like a worker that cannot boot.
    worker.ready()
    _ = try await ServerBootstrap(group: group)
        .serverChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(quiescing.makeServerChannelHandler(channel: channel))
            }
        }
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                try pipeline.addHandler(
                    AnnouncedClose<HTTPServerRequestPart, HTTPServerResponsePart>(worker),
                    position: .before(pipeline.handler(type: HTTPServerPipelineHandler.self)))
                try pipeline.addHandler(HelloHandler())
            }
        }
        .withBoundSocket(listener.duplicate()).get()

    try await worker.stopRequested.wait()
    // Closes the duplicate first, then tells each connection, and is done when the last one has ended.
    let ended = group.next().makePromise(of: Void.self)
    quiescing.initiateShutdown(promise: ended)
    try await ended.futureResult.get()
}
exit(summary.outcome.exitCode)
