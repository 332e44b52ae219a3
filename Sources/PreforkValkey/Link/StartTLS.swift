// TLS on a connection, where hiredis has it.

#if Valkey
    import PreforkSystem

    #if ValkeyTLS
        import CHiredis
        import CHiredisTLS
    #endif

    /// Wraps hiredis's context (`redisContext *`) into TLS. The handshake goes along with the first commands.
    ///
    /// The server's certificate must come from a trusted authority. Its name is not compared with the host's, because
    /// hiredis 1.x has no such check. Trust a private authority if that matters.
    ///
    /// hiredis has TLS since 1.0, in Debian since 13 (trixie). Debian 12 (bookworm) has 0.14, which lacks it.
    func startTLS(
        on context: UnsafeMutableRawPointer, _ settings: ValkeyTLSSettings, address: ValkeySettings.Address
    ) throws(ValkeyError) {
        #if ValkeyTLS
            try startHiredisTLS(on: context.assumingMemoryBound(to: redisContext.self), settings, address)
        #else
            throw ValkeyError(.tlsUnavailable("this build lacks package trait ValkeyTLS (hiredis 1.x, Debian 13)"))
        #endif
    }

    /// To be called before each read and write: OpenSSL keeps errors for each thread, and takes one that another
    /// connection of this loop has left behind for this connection's (SSL_get_error(3)). hiredis does not clear them.
    func forgetTLSErrors() {
        #if ValkeyTLS
            ERR_clear_error()
        #endif
    }

    #if ValkeyTLS
        private func startHiredisTLS(
            on context: UnsafeMutablePointer<redisContext>, _ settings: ValkeyTLSSettings,
            _ address: ValkeySettings.Address
        ) throws(ValkeyError) {
            redisInitOpenSSL()
            var host: String?
            // An address is not a server name (RFC 6066, 3).
            if case .tcp(let name, let port) = address, numericAddress(host: name, port: port) == nil { host = name }
            var code = REDIS_SSL_CTX_NONE
            let directory = settings.authorities == nil ? "/etc/ssl/certs" : nil
            guard
                let ssl = redisCreateSSLContext(
                    settings.authorities, directory, settings.certificate, settings.key, settings.serverName ?? host,
                    &code)
            else {
                throw ValkeyError(.tlsUnavailable(String(cString: redisSSLContextGetError(code))))
            }
            // The connection keeps OpenSSL's context by a reference count.
            defer { redisFreeSSLContext(ssl) }
            guard redisInitiateSSLWithContext(context, ssl) == REDIS_OK else {
                // A server that is quick enough has answered, and was not trusted, before the first wait.
                throw ValkeyError(.tlsHandshakeFailed)
            }
        }
    #endif
#endif
