// Values and errors that the checks share.

package import PreforkStore
package import Testing

/// Of every kind: the empty, the longest, and those that look like others.
package let valuesOfEveryKind: [StoredValue] = [
    StoredValue([UInt8]()), StoredValue(Array(UInt8.min ... .max)), StoredValue([UInt8(0)]),
    StoredValue(Array("12".utf8)),
    StoredValue([UInt8](repeating: 0xFF, count: 20_000)),
    StoredValue(""), StoredValue("12"), StoredValue("-1"), StoredValue("é🙂\0\r\n$5\r\n"), StoredValue("nil"),
    StoredValue(0), StoredValue(-1), StoredValue(12), StoredValue(Int64.max), StoredValue(Int64.min),
    StoredValue(UInt64.max), StoredValue(UInt64(Int64.max) + 1),
    StoredValue(0.0), StoredValue(-0.0), StoredValue(Double.nan), StoredValue(-Double.infinity), StoredValue(1e-300),
    StoredValue(true), StoredValue(false),
    StoredValue(kind: .coded, bytes: [0]), StoredValue(kind: .coded, bytes: Array(0...255)),
]

extension StoredValue {
    /// The value of an integer.
    package var number: Int64 {
        get throws {
            guard let number = bytes.withUnsafeBytes({ Int64(sharedBytes: $0, kind: kind) }) else {
                throw NotANumber(value: self)
            }
            return number
        }
    }
}

package struct NotANumber: Error {
    let value: StoredValue
}

/// Expects that `body` throws a `StoreError` whose code is as wanted.
package func expectStoreError(
    _ isWanted: (StoreError.Code) -> Bool, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("no error. \(comment.map { "\($0)" } ?? "")", sourceLocation: sourceLocation)
    } catch let error as StoreError where isWanted(error.code) {
    } catch {
        Issue.record("another error: \(error). \(comment.map { "\($0)" } ?? "")", sourceLocation: sourceLocation)
    }
}
