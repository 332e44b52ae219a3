// Lets clients know that a connection ends before it ends, and the supervisor what is in hand.

import NIOCore
import Prefork

/// Holds a pipeline's stop back until its client knows of it.
///
/// `ServerQuiescingHelper` tells each connection of the stop (`ChannelShouldQuiesceEvent`), and NIO and Hummingbird
/// then close those that are idle at once. A request that is already on its way is reset, also the first one of a
/// connection that was accepted but not read yet. Here such a connection is given one more request, at most `linger`
/// long, and each last answer says `Connection: close`. When the whole service stops, it does not wait for idle
/// clients, because there is no other worker that they could go to. Only what was accepted just now has a moment to be
/// read.
///
/// Each request is marked while it is in hand (`Worker.beginRequest`): a crash or a hang names it, and does not count
/// as one that could not boot. A request in quarantine is answered by 503 here, after those that came before it on its
/// connection, which ends with it. No handler sees it.
///
/// Its place is before the handler that closes: `HTTPServerPipelineHandler` of NIO, Hummingbird's
/// `additionalChannelHandlers`. For one HTTP/1 connection, on its event loop.
public final class AnnouncedClose<Request: HTTPMessagePart, Response: HTTPAnswerPart>: ChannelDuplexHandler,
    RemovableChannelHandler
{
    /// Parts of requests, from the HTTP decoder.
    public typealias InboundIn = Request
    /// The same parts.
    public typealias InboundOut = Request
    /// Parts of answers, from the program's handlers.
    public typealias OutboundIn = Response
    /// The same parts. A last head gets `Connection: close`.
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
    /// The answer to a request in quarantine. Nothing more is read.
    private var refusal: [Response]?

    /// - Parameters:
    ///   - worker: the worker that serves the connection.
    ///   - linger: how long an idle connection may send one more request after the worker was asked to stop.
    public init(_ worker: Worker, linger: TimeAmount = .seconds(5)) {
        self.worker = worker
        self.linger = linger
    }

    /// Marks each request, and refuses it when it is in quarantine.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if refusal != nil { return }
        let part = unwrapInboundIn(data)
        let isHead = part.isHead
        if isHead {
            do throws(RequestError) {
                marks.append(try worker.beginRequest(part.requestLabel ?? ""))
            } catch {
                refusal = Response.refusal(retryAfter: error.retryAfter.map { max(1, $0.components.seconds) })
                if requestsInHand == 0 { refuse(context) }
                return
            }
            requestsInHand += 1
            hadRequest = true
        }
        context.fireChannelRead(data)
        // After the request: the handler that closes has it by now, and answers it first.
        if isHead, isStopping { passOn(context) }
    }

    /// Ends the mark with the answer, and announces the connection's end in the last one.
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
        if part.isEnd, requestsInHand == 0, refusal != nil { refuse(context) }
    }

    /// All that came before it on this connection is answered.
    private func refuse(_ context: ChannelHandlerContext) {
        for part in refusal ?? [] { context.write(wrapOutboundOut(part), promise: nil) }
        context.flush()
        context.close(promise: nil)
    }

    /// Holds the stop of the connection back until its client knows of it. Passes every other event on.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        guard !isStopping else { return }
        isStopping = true
        let canStillAnnounce = requestsInHand > 0 && !answerHasBegun
        if canStillAnnounce { return passOn(context) }
        let grace = stop.reach == .worker ? linger : hadRequest ? .zero : Self.firstRequestGrace
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: grace) { self.passOn(context) }
    }

    /// Ends the marks of requests that were not answered.
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
