// Where an application wants to listen.

import Hummingbird
import Prefork

extension BindAddress {
    /// The same address as Prefork writes it. Nil if it cannot be told.
    ///
    /// Hummingbird 2.28 has no public way to ask a `BindAddress` what it holds, so it is read by reflection, once,
    /// before the fork. `ForkedApplicationTests` fails if that changes.
    var endpoint: Endpoint? {
        guard let value = Mirror(reflecting: self).children.first?.value,
            let held = Mirror(reflecting: value).children.first, let label = held.label
        else { return nil }
        let parts = Mirror(reflecting: held.value).children.map(\.value)
        let host = held.value as? String ?? parts.first as? String
        switch label {
        case "hostname":
            guard let host, let port = parts.last as? Int, let port = UInt16(exactly: port) else { return nil }
            return .tcp(host, port)
        case "unixDomainSocket": return host.map { .unix($0) }
        default: return nil
        }
    }
}
