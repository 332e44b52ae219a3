// What a pipeline would ask a channel for.

import NIOCore

extension RequestChannel: ChannelCore {
    func localAddress0() throws -> NIOCore.SocketAddress {
        guard let localAddress else { throw NIOCore.ChannelError.operationUnsupported }
        return localAddress
    }

    func remoteAddress0() throws -> NIOCore.SocketAddress {
        guard let remoteAddress else { throw NIOCore.ChannelError.operationUnsupported }
        return remoteAddress
    }

    func register0(promise: EventLoopPromise<Void>?) { refuse(promise) }
    func registerAlreadyConfigured0(promise: EventLoopPromise<Void>?) { refuse(promise) }
    func bind0(to: NIOCore.SocketAddress, promise: EventLoopPromise<Void>?) { refuse(promise) }
    func connect0(to: NIOCore.SocketAddress, promise: EventLoopPromise<Void>?) { refuse(promise) }
    func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) { refuse(promise) }
    func flush0() {}
    func read0() {}
    func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) { refuse(promise) }
    func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) { refuse(promise) }
    func channelRead0(_ data: NIOAny) {}
    func errorCaught0(error: any Error) {}

    private func refuse(_ promise: EventLoopPromise<Void>?) { promise?.fail(NIOCore.ChannelError.operationUnsupported) }
}
