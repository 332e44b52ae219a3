// The expiry of an entry.

import PreforkSystem

/// Whether a moment on the monotonic clock, which no setting of the clock moves, has come.
func isPast(_ nanoseconds: UInt64) -> Bool {
    UInt64(bitPattern: MonotonicInstant.now.nanoseconds) >= nanoseconds
}

/// The moment `life` from now, as entries keep it. 0 means forever.
func expiryWord(after life: Duration?) throws(StoreError) -> UInt64 {
    guard let life else { return 0 }
    guard life > .zero else { throw StoreError(.badArgument("an expiry of \(life) is not above zero")) }
    return UInt64((.now + life as MonotonicInstant).nanoseconds)
}

/// How long until that moment, or nil for forever.
func remainingLife(_ expiry: UInt64) -> Duration? {
    if expiry == 0 { return nil }
    return MonotonicInstant(nanoseconds: Int64(clamping: expiry)) - .now
}
