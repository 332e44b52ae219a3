// The same promises through TLS. Only in a build with trait ValkeyTLS.

#if ValkeyTLS
    import Glibc
    import PreforkBackendSuite
    import PreforkChannels
    import PreforkStore
    import PreforkSystem
    import PreforkTestSupport
    import PreforkValkey
    import Testing

    @Suite(.timeLimit(.minutes(2)), .enabled(if: TestServer.path != nil, "needs redis-server or valkey-server"))
    struct TLSTests {
        @Test(arguments: StoreCheck.all) func theStoreKeepsThePromise(_ check: StoreCheck) async throws {
            let server = try await EncryptedServer()
            let backend = ValkeyBackend(server.settings)
            try await check.run(backend)
            backend.close()
        }

        @Test(arguments: PubSubCheck.all) func publishAndSubscribeKeepThePromise(_ check: PubSubCheck) async throws {
            let server = try await EncryptedServer()
            let backend = ValkeyBackend(server.settings)
            try await check.run(backend)
            backend.close()
        }

        @Test func largeValuesComeBackWhole() async throws {
            let server = try await EncryptedServer()
            let backend = ValkeyBackend(server.settings)
            let value = StoredValue((0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            _ = try await backend.store("large", value, expires: nil, if: .always)
            #expect(try await backend.load("large") == value)
        }

        @Test func aServerOfAnotherAuthorityIsNotTrusted() async throws {
            let (server, other) = (try await EncryptedServer(), try await EncryptedServer())
            var settings = server.settings
            #expect(try await ValkeyBackend(settings).load("k") == nil)
            settings.tls?.authorities = other.certificate
            settings.commandTimeout = .seconds(2)
            let untrusted = settings
            var failure = await code { _ = try await ValkeyBackend(untrusted).load("k") }
            #expect(failure == .tlsHandshakeFailed)
            settings.tls?.authorities = "/nowhere"
            let impossible = settings
            failure = await code { _ = try await ValkeyBackend(impossible).load("k") }
            if case .tlsUnavailable? = failure { return }
            Issue.record("\(String(describing: failure))")
        }
    }

    /// A server with a certificate of its own.
    private final class EncryptedServer {
        let server: TestServer
        let certificate: String
        let settings: ValkeySettings
        private let key: String

        init() async throws {
            certificate = try temporaryFile()
            key = try temporaryFile()
            let openssl = try ChildProgram(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-out",
                    certificate, "-keyout", key,
                ])
            _ = try await openssl.waitForExit()
            let port = try freePort()
            server = try TestServer(
                "--tls-port", "\(port)", "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients",
                "no")
            var settings = server.settings()
            settings.address = .tcp(host: "127.0.0.1", port: port)
            settings.tls = ValkeyTLSSettings()
            settings.tls?.authorities = certificate
            self.settings = settings
        }

        deinit {
            unlink(certificate)
            unlink(key)
        }
    }
#endif
