// The channel that a request's context is made from, where no channel of SwiftNIO is.

import Glibc
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Prefork
import PreforkHTTP
import Synchronization

/// What the requests of a server share of their channels.
@usableFromInline
final class ServerChannel: Sendable {
    let address: NIOCore.SocketAddress?
    private let made = Mutex<RequestChannel?>(nil)
    private let pipe = Mutex<ChannelPipeline?>(nil)

    init(_ listener: Prefork.SocketAddress) {
        address = NIOCore.SocketAddress(listener)
    }

    /// What the context of a request is made from.
    @usableFromInline
    func source(for request: PreforkHTTP.HTTPRequest, _ logger: Logger) -> ApplicationRequestContextSource {
        ApplicationRequestContextSource(channel: RequestChannel(of: self, peer: request.peer), logger: logger)
    }

    /// The channel of the server itself, for `onServerRunning`.
    var channel: RequestChannel {
        made.withLock { made in
            let channel = made ?? RequestChannel(of: self, peer: nil)
            made = channel
            return channel
        }
    }

    /// One pipeline for all: a channel and its pipeline refer to each other until the channel is closed, which these
    /// never are. All of its operations fail.
    var pipeline: ChannelPipeline {
        let channel = channel
        return pipe.withLock { pipe in
            let pipeline = pipe ?? ChannelPipeline(channel: channel)
            pipe = pipeline
            return pipeline
        }
    }
}

/// The addresses of a connection, in the form of a channel. It is made for each request and costs one allocation.
///
/// It has an event loop of NIO's, whose thread starts when a program asks for it, and can neither read nor write nor
/// close.
final class RequestChannel: NIOCore.Channel {
    private let server: ServerChannel
    private let peer: Prefork.SocketAddress?
    private let closing = Mutex<EventLoopPromise<Void>?>(nil)

    /// - Parameter peer: the client's address. If nil, this is the server's own channel.
    init(of server: ServerChannel, peer: Prefork.SocketAddress?) {
        self.server = server
        self.peer = peer
    }

    deinit {
        // The request is over, and its context gone.
        closing.withLock { $0 }?.succeed()
    }

    var allocator: ByteBufferAllocator { ByteBufferAllocator() }
    var localAddress: NIOCore.SocketAddress? { server.address }
    var remoteAddress: NIOCore.SocketAddress? { peer.flatMap { NIOCore.SocketAddress($0) } }
    var parent: (any NIOCore.Channel)? { peer == nil ? nil : server.channel }
    var isWritable: Bool { true }
    var isActive: Bool { true }
    var eventLoop: any NIOCore.EventLoop { MultiThreadedEventLoopGroup.singleton.any() }
    var pipeline: ChannelPipeline { server.pipeline }
    var _channelCore: any ChannelCore { self }

    /// Done when the request is over.
    var closeFuture: EventLoopFuture<Void> {
        closing.withLock { closing in
            let promise = closing ?? eventLoop.makePromise()
            closing = promise
            return promise.futureResult
        }
    }

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        eventLoop.makeFailedFuture(NIOCore.ChannelError.operationUnsupported)
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        eventLoop.makeFailedFuture(NIOCore.ChannelError.operationUnsupported)
    }
}

extension NIOCore.SocketAddress {
    /// - Returns: nil for an address of a family that NIO does not know.
    init?(_ address: Prefork.SocketAddress) {
        switch address {
        case .ipv4(let number, let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = number.bigEndian
            self.init(address)
        case .ipv6(let high, let low, let port, let scope):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &address.sin6_addr) { bytes in
                bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            self.init(address)
        case .unix(let path):
            guard let address = try? Self(unixDomainSocketPath: path) else { return nil }
            self = address
        case .other: return nil
        }
    }
}
