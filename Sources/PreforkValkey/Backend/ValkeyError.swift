// The errors of a server's operations.

#if Valkey
    public import PreforkSystem

    /// An operation on a Valkey or Redis server failed for a reason of the server's or the way to it.
    ///
    /// What a store refuses on any backend (a key that is too long, an increment of a String) is `StoreError`. No text
    /// of this error contains a password or a value.
    public struct ValkeyError: Error, Hashable, Sendable {
        /// What went wrong.
        public enum Code: Hashable, Sendable {
            /// The connection ended while the command was under way: it may have happened, or not. Not retried, because
            /// an increment would count twice.
            case connectionLost
            /// No answer within the command timeout. If the command had been sent, it may have happened, or still will.
            case timedOut
            /// As many commands are under way as may be (`ValkeySettings.maximumCommands`). Nothing was sent.
            case overloaded(limit: Int)
            /// An invalid setting. The text names each. Nothing was sent.
            case badSettings(String)
            /// The backend was closed. A command that was under way may have happened.
            case closed
            /// The server does not accept the user and password, or requires them. `reason` is its error's first word.
            case notAuthenticated(reason: String)
            /// The server answered something that is not its protocol, or not to what was asked.
            case badReply(String)
            /// The server refused: its error text.
            case refused(String)
            /// The key has a value that this package has not written: plain text, a list, a hash.
            case foreignValue
            /// There is no connection, and this is why the last attempt failed.
            case unreachable(SystemError)
            /// TLS was requested in a build without package trait `ValkeyTLS`, or could not be set up.
            case tlsUnavailable(String)
            /// There is no connection, because the last attempt ended in the TLS handshake: the client or the server
            /// did not accept a certificate, or the server hung up. hiredis does not say which.
            case tlsHandshakeFailed
        }

        /// What went wrong.
        public let code: Code
        /// The key, channel or server in question. Empty if there is no such object.
        public let object: String

        package init(_ code: Code, on object: String = "") {
            self.code = code
            self.object = object
        }
    }

    extension ValkeyError {
        /// What the server's error text means.
        init(refusal text: String, password: ValkeyPassword?, on object: String = "") {
            let word = String(text.prefix { $0 != " " })
            switch word {
            case "WRONGPASS", "NOAUTH", "NOPERM": self.init(.notAuthenticated(reason: word), on: object)
            case "WRONGTYPE": self.init(.foreignValue, on: object)
            default:
                // A server that knows a command less well than we do repeats its arguments, which are values.
                var shown = text.firstRange(of: ", with args").map { String(text[..<$0.lowerBound]) } ?? text
                if let secret = password?.secret, !secret.isEmpty, shown.contains(secret) { shown = "(text withheld)" }
                self.init(.refused(shown), on: object)
            }
        }
    }

    extension ValkeyError: CustomStringConvertible {
        public var description: String {
            let text =
                switch code {
                case .connectionLost: "the connection was lost while the command was under way"
                case .timedOut: "no answer in time"
                case .overloaded(let limit): "more than \(limit) commands under way"
                case .badSettings(let text): text
                case .closed: "the backend is closed"
                case .notAuthenticated(let reason): "user and password were not accepted (\(reason))"
                case .badReply(let reason): "not an answer from a Valkey or Redis server: \(reason)"
                case .refused(let reason): "refused: \(reason)"
                case .foreignValue: "a value that this package has not written"
                case .unreachable(let error): "no connection: \(error)"
                case .tlsUnavailable(let reason): "no TLS: \(reason)"
                case .tlsHandshakeFailed: "no TLS handshake: a certificate was not accepted, or the server hung up"
                }
            return object.isEmpty ? text : "\(Escaping.brief(object)): \(text)"
        }
    }
#endif
