// One connection of an HTTP server: request after request, in order.

import PreforkEventLoop
import PreforkSystem

/// Reads requests from a connection, calls the handler, and sends its responses.
///
/// On the connection's loop only. Between requests it holds no buffers, and its deadline is a place in a queue.
final class HTTPConnection: @unchecked Sendable {
    // Sendable: everything mutable is touched on the loop's thread. What a request or a writer calls from elsewhere goes
    // there first.

    /// What has not come in time.
    enum Expiry {
        case head, idle, body, write
    }

    /// How much of a body is still to be read from the connection.
    enum BodyRest: Equatable {
        case none
        case length(Int)
        case chunked
    }

    let connection: Connection
    let reader: ByteReader
    let loop: EventLoop
    let server: HTTPServer

    // Unchecked exclusivity. Proof: each access is one call of a value's method or one assignment, and none of these
    // methods calls code outside of the value. The runtime's check costs as much as the whole parser.
    /// See `DeadlineQueue`.
    @exclusivity(unchecked) var place = DeadlineQueue.Place()
    /// The present request, or where the next one is parsed. nil while none of its bytes are there.
    @exclusivity(unchecked) var storage: RequestStorage?
    @exclusivity(unchecked) var output = OutputBuffer()
    var expiry: Expiry?

    // Of the present request. Its head's flags and method stand here, because each access to the storage costs a
    // reference to it.
    @exclusivity(unchecked) private(set) var flags: RequestHead.Flags = []
    @exclusivity(unchecked) private(set) var isHead = false
    @exclusivity(unchecked) var bodyRest = BodyRest.none
    @exclusivity(unchecked) var chunks: ChunkedBody?
    var isReadingBody = false
    /// The client waits for 100 before it sends the body.
    @exclusivity(unchecked) var needsContinue = false
    @exclusivity(unchecked) private var mark: RequestMark?
    /// It is in quarantine, and is not begun.
    @exclusivity(unchecked) private var refusal: RequestAccounting.Refusal?
    @exclusivity(unchecked) var hasServed = false
    /// The final response is in the output, or was sent.
    @exclusivity(unchecked) var hasResponse = false
    /// What the client will send next cannot be told from the rest of this request.
    @exclusivity(unchecked) var mustClose = false
    @exclusivity(unchecked) var bodyProgress = Progress()
    @exclusivity(unchecked) var writeProgress = Progress()

    /// Reading or writing has failed: no response can reach the client.
    @exclusivity(unchecked) var isBroken = false
    var isFlushing = false
    /// How often bytes of the output were sent: tells whether a response can still be taken back.
    @exclusivity(unchecked) var sendCount = 0
    /// The output must be sent at the end of the loop's turn.
    @exclusivity(unchecked) private var isFlushDue = false
    @exclusivity(unchecked) private var isTurnEndAwaited = false
    /// What the PROXY protocol has said.
    var claim: ClientClaim?
    var awaitsProxyHeader = false
    /// When the loop's turn began in which the present request's head was read.
    @exclusivity(unchecked) var began = MonotonicInstant(nanoseconds: 0)
    /// What another worker has handed over, until it is used.
    private(set) var resumed: ConnectionState?
    /// The present request was answered by another worker, with a WebSocket or a response that goes on here.
    private(set) var isResuming = false
    /// Of the request that has opened a WebSocket, or whose response may move. Empty without one.
    @exclusivity(unchecked) private(set) var requestHead: [UInt8] = []
    /// For the access log. nil without one.
    @exclusivity(unchecked) var served: ServedRequest?

    /// How much has gone one way, and how long the server has waited for it.
    struct Progress {
        var bytes = 0
        var waited = Duration.zero
    }

    /// - Parameter resumed: what another worker has handed over with the connection.
    init(_ connection: Connection, _ server: HTTPServer, resuming resumed: ConnectionState? = nil) {
        self.connection = connection
        self.resumed = resumed
        self.server = server
        reader = connection.reader
        loop = connection.loop
    }

    var peer: SocketAddress { connection.peer }
    /// Or about to leave its connections to another worker.
    var isDraining: Bool { connection.isDraining || loop.stopRequest.isRequested }

    /// Serves until one of the two sides ends the connection.
    func serve() async throws {
        defer { end() }
        do {
            let isOwner = reader.isOwnedByCurrentTask
            if server.mayMove { connection.onHandover { [unowned self] in pack() } }
            awaitsProxyHeader = server.options.expectsProxyHeader
            if let resumed {
                if let socket = resumed.socket { return try await resume(socket) }
                if let stream = resumed.stream, try await !resume(stream) { return }
                begin(resumed)
            } else {
                // The first head has its time from the beginning of the connection.
                server.awaitsHead(self)
            }
            if awaitsProxyHeader {
                guard try await readProxyHeader() else { return }
                awaitsProxyHeader = false
            }
            guard isOwner else { return try await serveAsGuest() }
            var hasLookedAgain = false
            while true {
                if reader.isAskedToMove, try await reader.moves() { return }
                switch try reader.stepBetweenMessages(&hasLookedAgain) {
                case .arrived:
                    // A function of its own: what a connection holds while it waits has a small frame.
                    guard try await answerRequests() else { return }
                    releaseBuffers()
                    server.awaitsRequest(self)
                    hasLookedAgain = false
                case .over: return
                case .again: break
                case .giveTurn: try await reader.giveTurn()
                case .wait: try reader.endWait(await withUnsafeContinuation { reader.park($0) })
                }
            }
        } catch {
            switch expiry {
            // Before the PROXY protocol's header nothing is said.
            case .head where reader.bufferedCount > 0 && !awaitsProxyHeader: try await refuse(.requestTimeout)
            case .head, .idle, .body, .write: break
            case nil: if !(error is ConnectionEnd) { throw error }
            }
        }
    }

    /// As `serve`, in another task than the connection's own.
    private func serveAsGuest() async throws {
        while try await reader.waitForMessage() {
            guard try await answerRequests() else { return }
            releaseBuffers()
            server.awaitsRequest(self)
        }
    }

    /// Answers all requests whose bytes are there, and waits for the rest of one that is there in part.
    ///
    /// - Returns: whether the connection continues.
    private func answerRequests() async throws -> Bool {
        // A kept connection no longer idles. The first head's time goes on.
        if hasServed { DeadlineQueue.remove(self) }
        while true {
            switch parse() {
            case .incomplete:
                if output.count > 0 { try await flush() }
                if !place.isTaken { server.awaitsHead(self) }
                // The head is not consumed before it is whole: another worker reads it from its begin.
                guard try await reader.fill(isIdle: false, mayMove: true) else { return false }
                continue
            case .failure(let status):
                try await refuse(status)
                return false
            case .complete:
                DeadlineQueue.remove(self)
                // The time may have been over in the same turn of the loop in which the last byte came.
                expiry = nil
            }
            hasServed = true
            began = server.turnBegan
            if server.accessLog != nil { served = ServedRequest() }
            var keeps: Bool
            do {
                defer {
                    endMark()
                    if served != nil { logServed() }
                }
                var response: HTTPResponse
                if let refusal {
                    response = Self.unavailable(refusal)
                } else {
                    if output.count > 0 { flushSoon() }
                    do {
                        response = try await server.handler(HTTPRequest(storage: requestStorage))
                    } catch {
                        response = try self.response(to: error)
                    }
                }
                response.fields.becomeOwn()
                if let isDone = encode(response) {
                    keeps = isDone
                } else if case .stream(let count, let body) = response.body.kind, !response.status.isInformational {
                    // Not by way of `send`: each function that waits has a frame of its own.
                    keeps = try await stream(response, count, body)
                } else {
                    keeps = try await send(response)
                }
            }
            server.count(requestSince: began)
            if keeps, bodyRest != .none { keeps = try await discardBody() }
            let isInputLeft = reader.bufferedCount > 0
            if !keeps || !isInputLeft || output.count > 1 << 16, try !flushNow() { try await flush() }
            if !keeps {
                if isInputLeft || bodyRest != .none { try await closeGently() }
                return false
            }
            endRequest()
            if !isInputLeft { return true }
        }
    }

    /// - Returns: after `.complete`, the head's bytes are in the storage and no longer in the reader, and the request is
    ///   marked.
    private func parse() -> RequestParser.Step {
        if storage == nil { server.lend(to: &storage) }
        // Proof: the connection keeps its storage meanwhile.
        return Unmanaged.passUnretained(requestStorage)._withUnsafeGuaranteedRef { parse(into: $0) }
    }

    @inline(__always)
    private func parse(into storage: RequestStorage) -> RequestParser.Step {
        let step = reader.withBufferedBytes { bytes in
            let step = storage.parser.parse(bytes)
            if step == .complete {
                storage.begin(bytes.part(0..<storage.head.length), of: self)
                refusal = beginMark(bytes.part(storage.head.label))
            }
            return step
        }
        flags = storage.head.flags
        if case .head = storage.head.method { isHead = true }
        guard step == .complete else { return step }
        reader.consume(storage.head.length)
        switch storage.head.framing {
        case .none: break
        case .length(let count):
            bodyRest = .length(count)
            needsContinue = storage.head.flags.contains(.expectsContinue)
        case .chunked:
            bodyRest = .chunked
            chunks = ChunkedBody(headLimit: server.options.headLimit, fieldLimit: server.options.fieldLimit)
            needsContinue = storage.head.flags.contains(.expectsContinue)
        }
        return step
    }

    /// The head travels with a WebSocket, or a response that moves: the handler that continues is found by it.
    func keepHead() { requestHead = Array(requestStorage.bytes.prefix(requestStorage.head.length)) }

    /// The response that could move is over.
    func forgetHead() { (isResuming, requestHead) = (false, []) }

    /// Puts the head of a request that another worker has answered to where the present request is.
    ///
    /// - Returns: whether the handler may be called with it.
    func readHead(_ head: [UInt8]) -> Bool {
        (isResuming, resumed, requestHead) = (true, nil, head)
        let storage = requestStorage
        return head.withUnsafeBytes { bytes in
            guard storage.parser.parse(bytes) == .complete else { return false }
            storage.begin(bytes, of: self)
            flags = storage.head.flags
            if case .head = storage.head.method { isHead = true }
            refusal = beginMark(bytes.part(storage.head.label))
            return refusal == nil
        }
    }

    /// Reads the PROXY protocol's header.
    ///
    /// - Returns: false if the connection must end. A peer that does not speak the protocol gets no response: a server that
    ///   answers both could be told a false address by anyone.
    private func readProxyHeader() async throws -> Bool {
        guard server.options.trustedProxies?.contains(peer) == true else { return false }
        while true {
            switch reader.withBufferedBytes({ ProxyProtocol.read($0) }) {
            case .complete(let client, let byteCount):
                reader.consume(byteCount)
                claim = client.map { ClientClaim($0) }
                return true
            case .malformed: return false
            // A draining worker does not wait for a peer that has sent nothing.
            case .incomplete where reader.bufferedCount == 0:
                guard try await reader.waitForMessage() else { return false }
            case .incomplete: guard try await reader.fill() else { return false }
            }
        }
    }

    /// For the access log.
    var clientAddress: SocketAddress {
        storage?.origin?.address ?? claimedPeer
    }

    /// Whether anything can be known of a request's client beside the connection's peer.
    var believesProxies: Bool { server.options.trustedProxies != nil }

    /// What the PROXY protocol has said of the client, or else the peer.
    private var claimedPeer: SocketAddress { claim?.address ?? peer }

    /// Where a request with these fields came from.
    func origin(of fields: HTTPFields) -> ClientOrigin {
        ClientOrigin(fields, from: claimedPeer, server.options.trustedProxies)
    }

    /// Makes room for `count` more bytes: the calls of `append` that follow must not need more together.
    @inline(__always)
    func reserve(_ count: Int) {
        if output.room < count { output.makeRoom(for: count, from: loop) }
    }

    /// Taken from the server when the first byte of a request is there.
    var requestStorage: RequestStorage {
        if storage == nil { server.lend(to: &storage) }
        // `lend` has put one there.
        return storage!
    }

    /// Reports of crashes and hangs name the request by method and path.
    ///
    /// - Returns: for a request in quarantine, which is not begun.
    @inline(__always)
    private func beginMark(_ label: UnsafeRawBufferPointer) -> RequestAccounting.Refusal? {
        if let accounting = server.accounting {
            // Proof: the server keeps it.
            let refusal = Unmanaged.passUnretained(accounting)._withUnsafeGuaranteedRef { $0.refusal(of: label) }
            if let refusal { return refusal }
        }
        mark = server.marks?.begin(label, includesQuery: false, trace: nil, executes: false)
        return nil
    }

    @inline(__always)
    func endMark() {
        mark?.end()
        mark = nil
    }

    /// For the next request. What a program has kept of this one stays the program's.
    func endRequest() {
        if isKnownUniquelyReferenced(&storage) {
            storage?.reset()
        } else if storage != nil {
            storage?.isKept()
            storage = nil
        }
        flags = []
        isHead = false
        bodyRest = .none
        if chunks != nil { chunks = nil }
        needsContinue = false
        hasResponse = false
        if bodyProgress.bytes > 0 { bodyProgress = Progress() }
        if writeProgress.bytes > 0 { writeProgress = Progress() }
    }

    /// The connection has another protocol now.
    func requestEnds() {
        endMark()
        endRequest()
        releaseBuffers()
    }

    /// Ten thousand idle connections hold no buffer at all.
    private func releaseBuffers() {
        if storage != nil { server.takeBack(from: &storage) }
        output.releaseIfEmpty(to: loop)
    }

    private func end() {
        if server.mayMove { connection.onHandover(nil) }
        DeadlineQueue.remove(self)
        isFlushDue = false
        endMark()
        endRequest()
        output.removeAll()
        releaseBuffers()
    }

    /// Runs on the loop when the time is over.
    func expire(_ kind: Expiry) {
        expiry = kind
        if kind == .write { connection.interruptWriting() } else { connection.interruptReading() }
    }

    /// Sends a response of a pipelined request while the next one's handler waits for something. If it does not wait,
    /// both go in one write.
    func flushSoon() {
        isFlushDue = true
        guard !isTurnEndAwaited else { return }
        isTurnEndAwaited = true
        loop.atTurnEnd(self)
    }

    @inline(__always)
    func flushesNow() { isFlushDue = false }
}

extension HTTPConnection: TurnEndObserver {
    func turnEnds() {
        isTurnEndAwaited = false
        // An error shows again at the next write.
        if isFlushDue, !isFlushing { _ = try? flushNow() }
    }
}

/// What a proxy has said of its client. An object, because few connections have it.
final class ClientClaim {
    let address: SocketAddress

    init(_ address: SocketAddress) { self.address = address }
}

/// The parser of a body in chunks, which few requests have.
final class ChunkedBody {
    var parser: ChunkedParser

    init(headLimit: Int, fieldLimit: Int) {
        parser = ChunkedParser(headLimit: headLimit, fieldLimit: fieldLimit)
    }
}

/// The connection ends without a further word, because nothing can be said to the client, or was said already.
struct ConnectionEnd: Error {}
