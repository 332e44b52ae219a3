// Which listeners a worker serves, as bits in memory that it shares with its supervisor.

import PreforkSystem

/// A set of listeners by their numbers. Those above 63, which a program with so many listeners has, are never in it.
struct ServedListeners: Equatable {
    private(set) var all: UInt64 = 0
    private(set) var byHTTP: UInt64 = 0

    init() {}

    /// - Parameters:
    ///   - all: may be anything: another process has written it.
    ///   - byHTTP: likewise.
    init(all: UInt64, byHTTP: UInt64) {
        self.all = all
        self.byHTTP = byHTTP
    }

    init(_ listener: Listener, isHTTP: Bool) {
        all = Self.bit(listener)
        byHTTP = isHTTP ? all : 0
    }

    private static func bit(_ listener: Listener) -> UInt64 {
        (0..<UInt64.bitWidth).contains(listener.number) ? 1 << UInt64(listener.number) : 0
    }

    func contains(_ listener: Listener) -> Bool { all & Self.bit(listener) != 0 }

    func hasHTTP(at listener: Listener) -> Bool { byHTTP & Self.bit(listener) != 0 }

    mutating func formUnion(_ other: ServedListeners) {
        all |= other.all
        byHTTP |= other.byHTTP
    }
}
