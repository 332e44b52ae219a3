// A key's present state, recognisable when it has changed.

/// What a key was at one moment: which reference at which place, or nothing.
package struct StoreObservation: Sendable {
    package let value: StoredValue?
    /// How long it still lives. Nil if it lives forever, or is missing.
    package let remainingLife: Duration?
    private let sighting: Sighting?

    init(value: StoredValue?, remainingLife: Duration?, sighting: Sighting?) {
        self.value = value
        self.remainingLife = remainingLife
        self.sighting = sighting
    }

    /// Whether both saw the very same entry, or both saw no entry. Never true when it was replaced in between:
    /// references have versions.
    package func isSame(as other: StoreObservation) -> Bool { sighting == other.sighting }
}

extension StoreTable {
    /// Observes a key.
    package func observe(_ key: [UInt8]) -> StoreObservation {
        key.withUnsafeBytes { raw in
            read(raw, hash(raw)) { view, sighting in
                view.copiedValue(self).map {
                    StoreObservation(value: $0, remainingLife: remainingLife(view.expiry), sighting: sighting)
                }
            } ?? StoreObservation(value: nil, remainingLife: nil, sighting: nil)
        }
    }
}
