// The requests of one connection: / says who answers, /slow takes its time.

import Glibc
import NIOCore
import NIOHTTP1
import SlowRequest

final class HelloHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private var target = ""
    private var keepAlive = true

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            target = head.uri
            keepAlive = head.isKeepAlive
        case .body:
            break
        case .end:
            guard target == "/slow" else { return answer("\(getpid())", context) }
            SlowRequest.begin()
            context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(SlowRequest.duration)) {
                self.answer(SlowRequest.answer, context)
            }
        }
    }

    private func answer(_ text: String, _ context: ChannelHandlerContext) {
        let body = context.channel.allocator.buffer(string: text)
        var headers = HTTPHeaders([("content-length", "\(body.readableBytes)")])
        if !keepAlive { headers.add(name: "connection", value: "close") }
        context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepAlive { written.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
    }
}
