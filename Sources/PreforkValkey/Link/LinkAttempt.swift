// One attempt to get a connection: resolve, connect, greet.

#if Valkey
    import PreforkEventLoop
    import PreforkSystem

    /// Ends by `becomeReady` or `failAttempt` of its link, or is ended by it. On the loop's thread only.
    final class LinkAttempt: @unchecked Sendable {
        // Sendable: touched on the loop's thread only. The thread that resolves a name hands its result there.
        private unowned let link: Link
        private let loop: EventLoop
        private let settings: ValkeySettings
        /// Once there is a connection.
        private(set) var wire: Wire?
        private var timer: ScheduledCall?
        private var connecting: (socket: Int32, watch: Watch)?
        private var isOver = false

        init(link: Link) {
            self.link = link
            loop = link.loop
            settings = link.settings
        }

        func begin() {
            // Write(2) is hiredis's, without MSG_NOSIGNAL: a server that is gone must be EPIPE.
            ignoreBrokenPipes()
            timer = loop.call(after: settings.connectTimeout) { [weak self] in self?.fail(ValkeyError(.timedOut)) }
            switch settings.address {
            case .unix(let path): connect(to: [.unix(path: path)])
            case .tcp(let host, let port):
                if let address = numericAddress(host: host, port: port) {
                    connect(to: [address])
                } else {
                    lookUp(host, port)
                }
            }
        }

        /// Frees what the attempt holds. It has no effect any more.
        func end() {
            isOver = true
            timer?.cancel()
            wire = nil
            if let (socket, watch) = connecting {
                loop.remove(watch)
                closeDescriptor(socket)
            }
            connecting = nil
        }

        private func fail(_ error: ValkeyError) {
            if !isOver { link.failAttempt(error) }
        }

        private func lookUp(_ host: String, _ port: UInt16) {
            do throws(SystemError) {
                try startThread { [loop] in
                    let found = Result { () throws(SystemError) in try resolveAddresses(host: host, port: port) }
                    loop.execute { self.continueLookUp(found) }
                }
            } catch {
                fail(ValkeyError(.unreachable(error)))
            }
        }

        private func continueLookUp(_ found: Result<[SocketAddress], SystemError>) {
            if isOver { return }
            switch found {
            case .success(let addresses): connect(to: addresses[...])
            case .failure(let error): fail(ValkeyError(.unreachable(error)))
            }
        }

        /// Connects to the first address that lets us.
        private func connect(to addresses: ArraySlice<SocketAddress>) {
            guard let address = addresses.first else { return fail(ValkeyError(.timedOut)) }
            do throws(SystemError) {
                try connect(to: address, otherwise: addresses.dropFirst())
            } catch {
                connectFailed(error, rest: addresses.dropFirst())
            }
        }

        private func connectFailed(_ error: SystemError, rest: ArraySlice<SocketAddress>) {
            if rest.isEmpty { fail(ValkeyError(.unreachable(error))) } else { connect(to: rest) }
        }

        private func connect(to address: SocketAddress, otherwise rest: ArraySlice<SocketAddress>) throws(SystemError) {
            let descriptor = Descriptor(owning: try Socket.open(for: address))
            if address.port != nil { try Socket.setNoDelay(descriptor.number) }
            do throws(SystemError) {
                try Socket.connect(descriptor.number, to: address)
            } catch {
                guard error.errno == .inProgress else { throw error }
                let socket = descriptor.number
                let watch = Watch(socket) { [weak self] _ in self?.finishConnect(to: address, otherwise: rest) }
                try loop.add(watch, for: .writable)
                connecting = (descriptor.release(), watch)
                return
            }
            greet(on: descriptor.release())
        }

        private func finishConnect(to address: SocketAddress, otherwise rest: ArraySlice<SocketAddress>) {
            guard let (socket, watch) = connecting else { return }
            connecting = nil
            loop.remove(watch)
            do throws(SystemError) {
                if let errno = try Socket.pendingError(socket) { throw SystemError("connect", errno, on: "\(address)") }
                greet(on: socket)
            } catch {
                closeDescriptor(socket)
                connectFailed(error, rest: rest)
            }
        }

        /// Takes over `socket`. PING makes sure that there is a server behind it which lets us in.
        private func greet(on socket: Int32) {
            do throws(ValkeyError) {
                let wire = try Wire(owning: socket, settings: settings)
                self.wire = wire
                do throws(SystemError) {
                    try link.adopt(wire)
                } catch {
                    throw ValkeyError(.unreachable(error))
                }
                if let password = settings.password {
                    var command = Command("AUTH")
                    if let user = settings.user { command.add(user) }
                    command.add(password.secret)
                    send(command, over: wire) { reply throws(ValkeyError) in try reply.checkAuthenticated() }
                }
                if settings.database != 0 {
                    send(Command("SELECT", "\(settings.database)"), over: wire) {
                        reply throws(ValkeyError) in try reply.checkAccepted(by: "SELECT")
                    }
                }
                send(Command("PING"), over: wire) { [link] reply throws(ValkeyError) in
                    try reply.checkPong()
                    self.succeed(link, wire)
                }
            } catch {
                fail(error)
            }
        }

        private func succeed(_ link: Link, _ wire: Wire) {
            isOver = true
            timer?.cancel()
            link.becomeReady(wire)
        }

        private func send(_ command: Command, over wire: Wire, then body: @escaping (Reply) throws(ValkeyError) -> Void)
        {
            link.greet(command, over: wire) { [weak self] outcome in
                // A failure is the connection's end, which the link has noticed first.
                guard let self, !isOver, case .success(let reply) = outcome else { return }
                do throws(ValkeyError) { try body(reply) } catch { fail(error) }
            }
        }
    }

    extension Reply {
        /// The answer to AUTH. Of an error's text only a word that we know is shown: the rest may be the password.
        fileprivate func checkAuthenticated() throws(ValkeyError) {
            if isOK { return }
            guard let word = errorCode else { throw ValkeyError(.badReply("\(form) to AUTH")) }
            throw ValkeyError(
                .notAuthenticated(reason: ["WRONGPASS", "NOPERM", "ERR"].contains(word) ? "\(word)" : "error"))
        }

        fileprivate func checkAccepted(by command: String) throws(ValkeyError) {
            if isOK { return }
            guard case .error(let text) = self else { throw ValkeyError(.badReply("\(form) to \(command)")) }
            throw ValkeyError(refusal: text, password: nil)
        }

        /// NOPERM: the user may not send this command, but has been recognised.
        fileprivate func checkPong() throws(ValkeyError) {
            if self == .status("PONG") || errorCode == "NOPERM" { return }
            guard case .error(let text) = self else { throw ValkeyError(.badReply("\(form) to PING")) }
            throw ValkeyError(refusal: text, password: nil)
        }
    }
#endif
