// Lets clients know that a connection ends before it ends, and the supervisor what is in hand.

import NIOCore
import Prefork

/// Holds a pipeline's stop back until its client knows of it.
///
/// `ServerQuiescingHelper` tells each connection of the stop (`ChannelShouldQuiesceEvent`), and NIO and Hummingbird
/// then close those that are idle at once. A request that is already on its way is reset, also the first one of a
/// connection that was accepted but not read yet. Here such a connection is given one more request, at most `linger`
/// long, and each last answer says `Connection: close`. When the whole service stops, nobody waits for idle clients, as
/// there is no other worker that they could go to; only what was accepted just now has a moment to be read.
///
/// Each request is marked while it is in hand (`Worker.beginRequest`): a crash or a hang names it, and does not count as one
/// that could not boot. Quarantine is the program's own to ask for: a request of a label that is refused goes on unmarked.
///
/// Its place is before the handler that closes: `HTTPServerPipelineHandler` of NIO, Hummingbird's
/// `additionalChannelHandlers`. For one HTTP/1 connection, on its event loop.
public final class AnnouncedClose<Request: HTTPMessagePart, Response: HTTPMessagePart>: ChannelDuplexHandler,
    RemovableChannelHandler
{
    public typealias InboundIn = Request
    public typealias InboundOut = Request
    public typealias OutboundIn = Response
    public typealias OutboundOut = Response

    private static var firstRequestGrace: TimeAmount { .milliseconds(100) }
    private let worker: Worker
    private var stop: StopRequest { worker.stopRequested }
    /// Of the requests in hand, oldest first.
    private var marks: [RequestMark?] = []
    private let linger: TimeAmount
    private var isStopping = false
    private var isPassedOn = false
    private var requestsInHand = 0
    private var hadRequest = false
    private var answerHasBegun = false
    private var timer: Scheduled<Void>?

    public init(_ worker: Worker, linger: TimeAmount = .seconds(5)) {
        self.worker = worker
        self.linger = linger
    }

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        let isHead = part.isHead
        if isHead {
            marks.append(part.requestLabel.flatMap { try? worker.beginRequest($0) })
            requestsInHand += 1
            hadRequest = true
        }
        context.fireChannelRead(data)
        // After the request: who closes is not idle any more, and will answer it first.
        if isHead, isStopping { passOn(context) }
    }

    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part = unwrapOutboundIn(data)
        if part.isHead {
            answerHasBegun = true
            if isPassedOn, requestsInHand == 1 {
                return context.write(wrapOutboundOut(part.announcingClose()), promise: promise)
            }
        }
        if part.isEnd {
            answerHasBegun = false
            requestsInHand -= 1
            if !marks.isEmpty { marks.removeFirst()?.end() }
        }
        context.write(data, promise: promise)
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        guard !isStopping else { return }
        isStopping = true
        let canStillAnnounce = requestsInHand > 0 && !answerHasBegun
        if canStillAnnounce { return passOn(context) }
        let grace = stop.reach == .worker ? linger : hadRequest ? .zero : Self.firstRequestGrace
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: grace) { self.passOn(context) }
    }

    public func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        // What was not answered will not be.
        for mark in marks { mark?.end() }
        marks = []
        context.fireChannelInactive()
    }

    private func passOn(_ context: ChannelHandlerContext) {
        timer?.cancel()
        guard !isPassedOn else { return }
        isPassedOn = true
        context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }
}
